"""Files and folders to documents.

A folder gives its text files and PDFs in sorted order, as `.gitignore` files allow; what is binary, empty, unreadable or
installed by tools is left out and named, so that nobody wonders where it went. A file is taken as it is: UTF-8 or PDF,
nothing changed. Uploads go by the same rules: `uploads.py`.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from app.contexts.archive import is_archive, unpack
from app.contexts.documents import MAX_FILE_BYTES, Collected, Skipped, take
from app.contexts.gitignore import Gitignore, ignored, read_gitignore
from app.contexts.installed import INSTALLED, is_installed
from app.contexts.sift import TOO_PRIVATE, may_be_secret
from app.prompt.text import UnsafeText, check_text


def collect(paths: Iterable[Path]) -> Collected:
    """The documents in `paths`, files, folders and zip archives, titled by their path below what was named.

    Raises `OSError` for a path of `paths` that cannot be found.
    """
    skipped: list[Skipped] = []
    collected = take(_named(paths, skipped))
    return Collected(collected.documents, (*skipped, *collected.skipped))


def _named(paths: Iterable[Path], skipped: list[Skipped]) -> Iterator[tuple[str, bytes | Skipped]]:
    seen: set[Path] = set()
    for path in paths:
        path.stat()
        found = _walk(path, skipped) if path.is_dir() else [(path.name, path)]
        for title, file in found:
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            content = _read(title, file)
            if isinstance(content, Skipped):
                skipped.append(content)
            elif file == path and is_archive(title):
                sifted, unpacked = unpack(title, content)
                skipped += sifted.skipped
                yield from unpacked
            else:
                yield title, content


def _read(title: str, file: Path) -> bytes | Skipped:
    try:
        check_text(title, "files", "a file name")
        if not file.is_file():
            return Skipped(title, "not a file")
        if file.stat().st_size > MAX_FILE_BYTES:
            return Skipped(title, f"larger than {MAX_FILE_BYTES:,} bytes")
        return file.read_bytes()
    except UnsafeText:
        return Skipped(title.encode("utf-8", "backslashreplace").decode(), "its name is not UTF-8")
    except OSError as error:
        return Skipped(title, error.strerror or "unreadable")


def _walk(folder: Path, skipped: list[Skipped]) -> Iterator[tuple[str, Path]]:
    root = folder.resolve()

    def titled(path: Path) -> str:
        title = f"{root.name}/{path.relative_to(root).as_posix()}".removesuffix("/.")
        return f"{title}/" if path.is_dir() else title

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
        if may_be_secret(entry.name):
            skip(entry, TOO_PRIVATE)
            continue
        # Links are not followed: they could lead out of the folder, or in a circle.
        if entry.name == ".git" or entry.is_symlink() or ignored(entry, ignores, is_folder=entry.is_dir()):
            continue
        if not entry.is_dir():
            yield entry
        elif is_installed(entry, os.path.isfile):
            skip(entry, INSTALLED)
        else:
            yield from _files(entry, ignores, skip)


def _rules_above(root: Path) -> list[Gitignore]:
    """The rules of the folders that `root` lies in, from the top of its repository down; none outside of one."""
    above = list(root.parents)
    top = next((number for number, folder in enumerate([root, *above]) if (folder / ".git").exists()), 0)
    ignores = [rules for folder in reversed(above[:top]) if (rules := read_gitignore(folder)) is not None]
    # Who names a folder that is ignored, wants it.
    return [] if ignored(root, ignores, is_folder=True) else ignores
