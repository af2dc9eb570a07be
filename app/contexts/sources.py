"""Files and folders to documents.

A folder gives its text files in sorted order, as `.gitignore` files allow; what is binary, empty or unreadable is left
out and named, so that nobody wonders where it went. A file's text is taken as it is: UTF-8, nothing changed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from app.prompt.context import Document
from app.prompt.text import UnsafeText, check_text

MAX_FILE_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that gave no document, and why."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """The documents found, and what was left out."""

    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...]


def collect(paths: Iterable[Path]) -> Collected:
    """The documents in `paths`, files and folders, titled by their path below the folder that was named.

    Raises `FileNotFoundError` for a path that does not exist.
    """
    documents: list[Document] = []
    skipped: list[Skipped] = []
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(path)
        found = [(path.name, path)] if path.is_file() else list(_walk(path))
        for title, file in found:
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            taken = _read(title, file)
            if isinstance(taken, Document):
                documents.append(taken)
            else:
                skipped.append(taken)
    return Collected(tuple(documents), tuple(skipped))


def decode(title: str, content: bytes) -> Document | Skipped:
    """The document in a file's `content`, or why there is none."""
    if b"\0" in content:
        return Skipped(title, "binary")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return Skipped(title, f"not UTF-8 text (byte {error.start:,})")
    if not text.strip():
        return Skipped(title, "empty")
    return Document(title, text)


def _read(title: str, file: Path) -> Document | Skipped:
    try:
        check_text(title, "files", "a file name")
        if file.stat().st_size > MAX_FILE_BYTES:
            return Skipped(title, f"larger than {MAX_FILE_BYTES:,} bytes")
        return decode(title, file.read_bytes())
    except UnsafeText:
        return Skipped(title.encode("utf-8", "backslashreplace").decode(), "its name is not UTF-8")
    except OSError as error:
        return Skipped(title, error.strerror or "unreadable")


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()
    for file in _files(root, root, []):
        yield f"{root.name}/{file.relative_to(root).as_posix()}", file


def _files(root: Path, folder: Path, ignores: list[tuple[Path, GitIgnoreSpec]]) -> Iterator[Path]:
    rules = folder / ".gitignore"
    if rules.is_file():
        ignores = [*ignores, (folder, GitIgnoreSpec.from_lines(rules.read_text("utf-8", "replace").splitlines()))]
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name == ".git" or _ignored(entry, ignores):
            continue
        # Links are not followed: they could lead out of the folder, or in a circle.
        if entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _files(root, entry, ignores)
        elif entry.is_file():
            yield entry


def _ignored(entry: Path, ignores: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    """Git's rule: the last `.gitignore` that has something to say decides, the deepest one last."""
    decided = False
    for base, spec in ignores:
        relative = entry.relative_to(base).as_posix() + ("/" if entry.is_dir() else "")
        result = spec.check_file(relative)
        if result.include is not None:
            decided = result.include
    return decided
