"""`headstart` commands run to their end, and the children that a running one has."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """A command that has ended: its exit status, and what it said, complaints last."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def headstart(*arguments: str | bytes, home: Path, **environment: str) -> Finished:
    """`headstart ARGUMENTS`, run in `home`, which is also where its data goes."""
    given = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_DATA_HOME": str(home / "share"), **environment}
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=given,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Finished(ended.returncode, ended.stdout.decode() + ended.stderr.decode())


def children(parent: int) -> dict[str, int]:
    """The running children of a process: what they are → their process id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            command = (stat.parent / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            # It has ended meanwhile.
            continue
        if int(ppid) == parent and state != "Z":
            found[_name(command)] = int(stat.parent.name)
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _name(command: str) -> str:
    return next((name for name in ("sandbox", "redis-server") if name in command), command)
