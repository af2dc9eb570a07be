"""The sample context: the source of the running interpreter's own `asyncio` package.

Real input of the size that prompt caching is for, on every machine, with no download.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from app.contexts.sources import collect
from app.prompt.context import Context, Parameters

SAMPLE_NAME = "asyncio"
INSTRUCTIONS = (
    "You answer questions about the source code of Python's asyncio package, which is given as documents. "
    "Quote the lines that your answer rests on, with their file."
)


def sample_context(model: str) -> Context:
    """The package's modules as documents, to be asked with `model`."""
    package = Path(asyncio.__file__).parent
    modules = sorted(package.glob("*.py"), key=lambda path: path.name)
    documents = [replace(document, title=f"asyncio/{document.title}") for document in collect(modules).documents]
    return Context(tuple(documents), Parameters(model, ttl="auto"), INSTRUCTIONS)
