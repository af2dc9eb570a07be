"""The sandbox as a process: it starts fast, serves an inherited socket, and ends within a second when told to or when
its parent dies, without a traceback, even with open streams."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from app.sandbox.serve import listen

SERVE = """
import sys
from app.sandbox.options import Options
from app.sandbox.serve import serve
fd = int(sys.argv[1]) if sys.argv[1] != "none" else None
serve(Options(profile="cookbook", speed=0.01), port=0, fd=fd, watch_stdin=True, ready=lambda url: print(url, flush=True))
"""
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
SLOW: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 500,
    "stream": True,
    "messages": [{"role": "user", "content": "hi"}],
}


@contextmanager
def process(fd: int | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A sandbox process and its URL."""
    child = subprocess.Popen(
        [sys.executable, "-c", SERVE, "none" if fd is None else str(fd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=() if fd is None else (fd,),
    )
    assert child.stdout is not None
    with child:
        try:
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()


def ends(child: subprocess.Popen[str]) -> tuple[int, float, str]:
    """(exit status, seconds it took, what it said on stderr)"""
    begun = time.monotonic()
    status = child.wait(timeout=30)
    assert child.stderr is not None
    return status, time.monotonic() - begun, child.stderr.read()


def test_it_says_where_it_is_once_it_accepts_requests() -> None:
    with process() as (_, url):
        assert url.startswith("http://127.0.0.1:")
        assert httpx2.get(f"{url}/v1/models", headers=HEADERS).status_code == 200


def test_it_serves_a_socket_that_was_listening_before_it_started() -> None:
    with listen("127.0.0.1", 0) as listening:
        host, port = listening.getsockname()
        with process(listening.fileno()) as (_, url):
            assert url == f"http://{host}:{port}"
            assert httpx2.get(f"{url}/v1/models", headers=HEADERS).status_code == 200


@pytest.mark.parametrize("way", ["SIGINT", "SIGTERM", "end of stdin"])
def test_it_ends_within_a_second_without_a_traceback_even_with_open_streams(way: str) -> None:
    with process() as (child, url), httpx2.Client(timeout=10) as http:
        request = http.build_request("POST", f"{url}/v1/messages", json=SLOW, headers=HEADERS)
        with socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0)) as raw:
            body = request.read()
            raw.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 1\r\n")
            raw.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
            assert http.get(f"{url}/v1/models", headers=HEADERS).status_code == 200
            if way == "end of stdin":
                assert child.stdin is not None
                child.stdin.close()
            else:
                os.kill(child.pid, getattr(signal, way))
            status, seconds, said = ends(child)
    assert (status, said) == (0, "")
    assert seconds < 1.5


def test_it_ends_within_a_second_while_a_large_warm_is_being_prepared() -> None:
    content = "".join(f"def name_{i}(value_{i}):\n    return value_{i} * {i}\n\n" for i in range(20_000))
    warm = {**SLOW, "max_tokens": 0, "stream": False, "messages": [{"role": "user", "content": content}]}
    warm["system"] = content
    with process() as (child, url):
        body = httpx2.Request("POST", url, json=warm).read()
        with socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0)) as raw:
            raw.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 1\r\n")
            raw.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
            assert httpx2.get(f"{url}/v1/models", headers=HEADERS).status_code == 200
            child.terminate()
            status, seconds, said = ends(child)
    assert (status, said) == (0, "")
    assert seconds < 2


def test_a_client_that_leaves_while_it_sends_is_no_news() -> None:
    with process() as (child, url):
        with socket.create_connection(("127.0.0.1", httpx2.URL(url).port or 0)) as raw:
            raw.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nanthropic-version: 1\r\n")
            raw.sendall(b'content-length: 1000\r\n\r\n{"model":')
        assert httpx2.get(f"{url}/v1/models", headers=HEADERS).status_code == 200
        child.terminate()
        assert ends(child)[::2] == (0, "")


def test_it_starts_fast_because_ranking_is_loaded_with_the_first_answer() -> None:
    code = "import sys, app.sandbox.serve; print('numpy' in sys.modules, 'bm25s' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_an_address_in_use_is_an_oserror() -> None:
    with listen("127.0.0.1", 0) as listening, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listening.getsockname()[1])


def test_it_imports_nothing_from_the_rest_of_the_application() -> None:
    code = "import sys, app.sandbox.serve, app.sandbox.app; print(*(m for m in sys.modules if m.startswith('app.')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name.startswith("app.sandbox") for name in ran.stdout.split())
