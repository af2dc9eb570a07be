"""`headstart` in a process of its own that need not import it: importing is most of what a start takes, and tests have
little to learn from it. It is forked off one that has imported everything; from then on it is what `python -m app.cli` is,
with a session, an environment, an output and signals of its own.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

from app.cli import main

# All that `headstart serve` imports, and when it runs at the latest.
IMPORTED = ["app.cli", "app.main", "app.draining", "uvicorn.loops.uvloop", "uvicorn.lifespan.on"]
IMPORTED += ["uvicorn.protocols.http.httptools_impl", "tests.forked"]

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(IMPORTED)


class Forked:
    """`headstart ARGUMENTS` with this environment and no other, saying what it says into `log`. What one can do with it is
    what one can do with a `subprocess.Popen`."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
        self._process = _forking.Process(target=_run, args=(arguments, environment, log))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("headstart", timeout or 0)
        return code


def _run(arguments: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    os.close(output)
    main(list(arguments))
