"""A file's bytes to a document, or why there is none.

Text is taken as it is, UTF-8 with nothing changed, and a PDF as it is, with its pages counted. What is left out is named
with its reason, so that nobody wonders where it went.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.contexts.parsing import count_pages
from app.prompt.context import AnyDocument as AnyDocument
from app.prompt.context import Document, Pdf

MAX_FILE_BYTES = 32_000_000
MAX_TITLE_CHARS = 1_000
PDF_MARK = b"%PDF-"
# Readers of PDF look for its mark in so many of the first bytes.
PDF_MARK_WITHIN = 1024
OFFICE = {".doc", ".docx", ".odp", ".ods", ".odt", ".pages", ".ppt", ".pptx", ".rtf", ".xls", ".xlsx"}
ARCHIVES = {".7z", ".bz2", ".gz", ".jar", ".rar", ".tar", ".tgz", ".whl", ".xz", ".zip", ".zst"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that gave no document; `reason` is half a sentence that follows its name."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """The documents found, what was left out by name, and how many more files `.gitignore` files left out."""

    documents: tuple[AnyDocument, ...]
    skipped: tuple[Skipped, ...]
    ignored: int = 0


def decode(title: str, content: bytes) -> Document | Skipped:
    """The document in a text file's `content`, or why there is none."""
    if b"\0" in content:
        return Skipped(title, _binary(title))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return Skipped(title, f"not UTF-8 text (byte {error.start:,})")
    if not text.strip():
        return Skipped(title, "empty")
    return Document(title, text)


def is_pdf(content: bytes) -> bool:
    """Whether a file says of itself that it is a PDF."""
    return PDF_MARK in content[:PDF_MARK_WITHIN]


def take(files: Iterable[tuple[str, bytes | Skipped]]) -> Collected:
    """The documents in `files`, titles with contents or reasons why there is none, in their order."""
    found: list[Document | Skipped | tuple[str, bytes]] = []
    for title, content in files:
        if isinstance(content, Skipped):
            found.append(content)
        elif len(content) > MAX_FILE_BYTES:
            found.append(Skipped(title, f"larger than {MAX_FILE_BYTES:,} bytes"))
        else:
            found.append((title, content) if is_pdf(content) else decode(title, content))
    counted = iter(count_pages([one[1] for one in found if isinstance(one, tuple)]))
    told = [_pdf(*one, next(counted)) if isinstance(one, tuple) else one for one in found]
    return Collected(
        tuple(one for one in told if not isinstance(one, Skipped)),
        tuple(one for one in told if isinstance(one, Skipped)),
    )


def _pdf(title: str, content: bytes, pages: int | str) -> Pdf | Skipped:
    return Skipped(title, pages) if isinstance(pages, str) else Pdf(title, content, pages)


def _binary(title: str) -> str:
    kind = PurePosixPath(title).suffix.lower()
    if kind in OFFICE:
        return "an office file; save it as PDF or text"
    return "an archive" if kind in ARCHIVES else "binary"
