"""`headstart bench ttft` from its arguments to its tables, files and picture."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from app.bench import BenchFailed, picture, report
from app.bench.client import Reader
from app.bench.server import own_server
from app.bench.ttft import Plan, measure
from app.contexts.sample import SAMPLE_NAME
from app.contexts.sources import collect
from app.prompt.context import Document
from app.settings import Settings

FILES_NAME = "bench"


def run(parsed: argparse.Namespace, settings: Settings) -> None:
    """Measure as asked. Raises `BenchFailed`."""
    if parsed.url is not None and (urlsplit(parsed.url).scheme not in ("http", "https")):
        raise BenchFailed(f"{parsed.url} is not the URL of a server: http://… or https://…")
    for path in (parsed.out, parsed.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise BenchFailed(f"there is no folder {path.parent} to write {path.name} to")
    if parsed.picture is not None:
        picture.check(parsed.picture)
    documents = _documents(parsed.context)
    name = FILES_NAME if documents else parsed.context
    with _server(parsed.url, settings, None if documents else name) as url, closing(Reader(url)) as reader:
        if documents:
            name = reader.add_context(FILES_NAME, documents)["context"]
        measured = measure(reader, Plan(name, parsed.question, parsed.runs, parsed.typing), _say)
    sys.stdout.write(report.text(measured) + "\n")
    if parsed.out is not None:
        parsed.out.write_text(report.as_json(measured, datetime.now(UTC)))
    if parsed.picture is not None:
        picture.draw(measured, parsed.picture)


@contextmanager
def _server(url: str | None, settings: Settings, context: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    _say("starting a server of its own, with a Redis that is thrown away")
    # The sample is there without being brought.
    with own_server(settings, None if context == SAMPLE_NAME else context) as own:
        yield own


def _documents(context: str) -> list[dict[str, str]]:
    """The documents in the file or folder that `context` is the path of, none when it is the name of a context."""
    if "/" not in context:
        return []
    try:
        collected = collect([Path(context)])
    except OSError as error:
        raise BenchFailed(f"cannot read {error.filename}: {error.strerror}") from None
    texts = [document for document in collected.documents if isinstance(document, Document)]
    if not texts:
        raise BenchFailed(f"there is no text file in {context}")
    return [{"title": document.title, "text": document.text} for document in texts]


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
