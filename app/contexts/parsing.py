"""Formats that anybody can make to say anything, PDF and HTML, read by a process of its own.

Their parsers can be made to loop or to swell; so that no upload can hold up the server, a process does it that has neither
its secrets nor its memory, and is ended when it takes too long. Nothing is started for what brings neither format.

This file is also that process's program. It reads a line of JSON, `[[kind, bytes], …]`, and then so many bytes for each;
it answers each with a line of JSON.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from app.contexts.readable import Readable, read_html

WITHIN_S = 20.0
MEMORY_BYTES = 2_000_000_000
TOO_LONG = "takes too long to read"
# What a process needs to find its libraries, and nothing that is secret.
KEPT = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LANG")


def count_pages(pdfs: Sequence[bytes]) -> list[int | str]:
    """The pages of each of `pdfs`, or why the API would not read it."""
    return [answer or TOO_LONG for answer in _parsed([("pdf", content) for content in pdfs])]


def readable(html: str) -> Readable | None:
    """A web page as text. None when it takes too long."""
    (answer,) = _parsed([("html", html.encode("utf-8", "replace"))])
    return None if answer is None else Readable(*answer)


def _parsed(asked: Sequence[tuple[str, bytes]]) -> list[Any]:
    """The answers, None for each that did not come in time."""
    if not asked:
        return []
    header = json.dumps([[kind, len(content)] for kind, content in asked]).encode() + b"\n"
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "app.contexts.parsing"],
            input=header + b"".join(content for _, content in asked),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in KEPT if name in os.environ},
            timeout=WITHIN_S,
            check=False,
        )
        said = finished.stdout
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
    answers = [json.loads(line) for line in said.split(b"\n")[:-1]]
    return answers + [None] * (len(asked) - len(answers))


def _count_pages(content: bytes) -> int | str:
    # Here, because it takes a while to load, and most contexts have no PDF.
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(BytesIO(content))
        if reader.is_encrypted:
            return "encrypted; save it without a password"
        return len(reader.pages) or "a PDF without pages"
    except (
        PyPdfError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        return "a damaged PDF"


def _answers(stream: Any) -> Iterator[Any]:
    for kind, size in json.loads(stream.readline()):
        content: bytes = stream.read(size)
        yield _count_pages(content) if kind == "pdf" else read_html(content.decode())


def _main() -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for answer in _answers(sys.stdin.buffer):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
