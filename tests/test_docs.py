"""The documentation's examples run as they stand, against a server as `make run` starts it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.running import free_port, server

API = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text()


def script(section: str, language: str) -> str:
    """The examples of a section of docs/api.md, one after the other."""
    _, _, rest = API.partition(f"## {section}\n")
    found = re.findall(rf"```{language}\n(.*?)```", rest.partition("\n## ")[0], re.S)
    assert found
    return "\n".join(found)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("documented")
    settings = {"HEADSTART_PORT": str(free_port()), "XDG_DATA_HOME": str(folder), "HEADSTART_SANDBOX_SPEED": "200"}
    with server(log=folder / "log", **settings) as running:
        running.wait_ready()
        yield running.url


def test_the_python_examples_run(url: str, tmp_path: Path) -> None:
    python = script("From Python", "python").replace("http://127.0.0.1:8000", url)
    # The tests have httpx under the name by which the SDK brings it.
    python = python.replace("import httpx\n", f"import {httpx2.__name__} as httpx\n")
    ran = subprocess.run(
        [sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    warmed, judged, ended, refused, added = ran.stdout.splitlines()
    assert re.fullmatch(r"warm \d{6} tokens written", warmed)
    assert re.fullmatch(r"hit \d+ ms to the first text", judged)
    assert ended == "ended with stopped"
    assert refused.startswith("invalid_request [{'field': 'question'")
    assert re.match(r"201 /api/contexts/c_\w+ \[\{'title': 'a.md'", added)


def test_the_shell_examples_run(url: str, tmp_path: Path) -> None:
    shell = script("From a shell", "sh").replace("http://127.0.0.1:8000", url)
    ran = subprocess.run(
        ["/bin/sh", "-euc", shell], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert '"state":"warm"' in ran.stdout
    assert "event: verdict" in ran.stdout
    assert "event: turn\n" not in ran.stdout
