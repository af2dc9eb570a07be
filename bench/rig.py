"""What is measured and what it stands on: Redis, the stamping upstream, the baseline and Headstart, each a process of its
own; those that are measured share a core with nothing else of ours. CPU and memory are read from /proc.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.running import RedisProcess, free_port, process

_TICKS = os.sysconf("SC_CLK_TCK")
_STAMPING = "from bench.stamping import main; main()"
_STARTED_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Target:
    """A process that is measured, at `url`."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds so far, user and system, of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Resident bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything, running. The baseline asks about the text that it was built with."""

    upstream: Target
    redis: Target
    baseline: Target
    headstart: Target


@contextmanager
def rig(folder: Path, text: str) -> Iterator[Rig]:
    """Start everything, with its files in `folder`; end it afterwards."""
    cores = os.sched_getaffinity(0)
    measured = {max(cores)}
    with ExitStack() as stack:
        # Children stay where they are started: what is measured on a core, and all the rest, this process too, elsewhere.
        stack.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, cores - measured or cores)
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        upstream = stack.enter_context(stamping(folder))
        os.sched_setaffinity(0, measured)
        beside = stack.enter_context(baseline(folder, upstream.url, text))
        ours = stack.enter_context(headstart(folder / "headstart.log", upstream.url, redis.url))
        os.sched_setaffinity(0, cores - measured or cores)
        yield Rig(upstream, Target(redis.url, _pid(redis)), beside, ours)


@contextmanager
def stamping(folder: Path) -> Iterator[Target]:
    """The stamping upstream, its log in `folder`."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        command = [sys.executable, "-c", _STAMPING, str(listening.fileno())]
        port, kept = listening.getsockname()[1], (listening.fileno(),)
        with _running(command, folder / "upstream.log", dict(os.environ), kept) as pid:
            yield Target(f"http://127.0.0.1:{port}", pid)


@contextmanager
def baseline(folder: Path, upstream: str, text: str) -> Iterator[Target]:
    """The baseline, over an upstream, asking about `text`; its files in `folder`."""
    context, port = folder / "context.txt", free_port()
    context.write_text(text)
    environment = {**os.environ, "ANTHROPIC_BASE_URL": upstream, "ANTHROPIC_API_KEY": "none", "CONTEXT": str(context)}
    command = [sys.executable, "-m", "uvicorn", "bench.baseline:app", "--port", str(port)]
    with _running(command, folder / "baseline.log", environment) as pid:
        _wait(f"http://127.0.0.1:{port}/docs")
        yield Target(f"http://127.0.0.1:{port}", pid)


@contextmanager
def headstart(log: Path, upstream: str, redis: str) -> Iterator[Target]:
    """Headstart, over an upstream and a Redis."""
    environment = {
        "ANTHROPIC_BASE_URL": upstream,
        "HEADSTART_REDIS_URL": redis,
        "HEADSTART_LIMITS": "off",
        "HEADSTART_PORT": str(free_port()),
        # The upstream answers at once, so no warm would save anybody's time: let each be worth it.
        "HEADSTART_VALUE_OF_SECOND_USD": "1e6",
    }
    with process("serve", log=log, **environment) as started:
        started.wait_ready()
        yield Target(started.url, started.popen.pid)


@contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str], kept: tuple[int, ...] = ()) -> Iterator[int]:
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=kept
        )
    try:
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait(url: str) -> None:
    until = time.monotonic() + _STARTED_WITHIN_S
    while True:
        try:
            if httpx2.get(url, timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)


def _pid(redis: RedisProcess) -> int:
    said = redis.say(b"INFO server").decode()
    return next(int(line.split(":")[1]) for line in said.splitlines() if line.startswith("process_id:"))
