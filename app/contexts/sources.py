"""Files and folders to documents.

A folder gives its text files in sorted order, as `.gitignore` files allow; what is binary, empty or unreadable is left
out and named, so that nobody wonders where it went. A file's text is taken as it is: UTF-8, nothing changed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from app.contexts.gitignore import Gitignore, read_gitignore
from app.prompt.context import Document
from app.prompt.text import UnsafeText, check_text

MAX_FILE_BYTES = 32_000_000
SECRETS = (
    *(".env", ".env.*", "*.env", ".netrc", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", ".pgpass"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "credentials"),
)
EXAMPLES = (".example", ".sample", ".template", ".dist")


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

    Raises `OSError` for a path of `paths` that cannot be found.
    """
    documents: list[Document] = []
    skipped: list[Skipped] = []
    seen: set[Path] = set()
    for path in paths:
        path.stat()
        found = _walk(path, skipped) if path.is_dir() else [(path.name, path)]
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
        if not file.is_file():
            return Skipped(title, "not a file")
        if file.stat().st_size > MAX_FILE_BYTES:
            return Skipped(title, f"larger than {MAX_FILE_BYTES:,} bytes")
        return decode(title, file.read_bytes())
    except UnsafeText:
        return Skipped(title.encode("utf-8", "backslashreplace").decode(), "its name is not UTF-8")
    except OSError as error:
        return Skipped(title, error.strerror or "unreadable")


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()

    def titled(path: Path) -> str:
        return f"{root.name}/{path.relative_to(root).as_posix()}".removesuffix("/.")

    for file in _files(root, _rules_above(root), lambda path, reason: skipped.append(Skipped(titled(path), reason))):
        yield titled(file), file


def _files(folder: Path, ignores: list[Gitignore], skip: Callable[[Path, str], None]) -> Iterator[Path]:
    try:
        if (rules := read_gitignore(folder)) is not None:
            ignores = [*ignores, rules]
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        skip(folder, error.strerror or "unreadable")
        return
    for entry in entries:
        if _may_be_secret(entry.name):
            skip(entry, "may hold secrets; name the file itself to add it")
            continue
        # Links are not followed: they could lead out of the folder, or in a circle.
        if entry.name == ".git" or entry.is_symlink() or _ignored(entry, ignores):
            continue
        if entry.is_dir():
            yield from _files(entry, ignores, skip)
        else:
            yield entry


def _may_be_secret(name: str) -> bool:
    """Whether a file of this name usually holds what nobody should read: a context is sent away, and shown to others."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in SECRETS) and not name.lower().endswith(EXAMPLES)


def _rules_above(root: Path) -> list[Gitignore]:
    """The rules of the folders that `root` lies in, from the top of its repository down; none outside of one."""
    above = list(root.parents)
    top = next((number for number, folder in enumerate([root, *above]) if (folder / ".git").exists()), 0)
    ignores = [rules for folder in reversed(above[:top]) if (rules := read_gitignore(folder)) is not None]
    # Who names a folder that is ignored, wants it.
    return [] if _ignored(root, ignores) else ignores


def _ignored(entry: Path, ignores: list[Gitignore]) -> bool:
    """Git's rule: the deepest `.gitignore` that has something to say decides."""
    decided = (rules.excludes(entry) for rules in reversed(ignores))
    return next((excluded for excluded in decided if excluded is not None), False)
