"""Zip archives, which anybody can make to say anything: read within bounds, and never onto a disk.

An archive is a folder with its own name: `.gitignore` files and the names of secrets count in it as they do in a folder.
"""

import stat
import zipfile
import zlib
from io import BytesIO
from pathlib import PurePosixPath

from app.contexts.documents import MAX_FILE_BYTES, Skipped
from app.contexts.sift import GITIGNORE, MAX_GITIGNORE_BYTES, Sifted, TooManyRules, clean, sift

MAX_ENTRIES = 20_000
MAX_UNPACKED_BYTES = 64_000_000
# Text seldom packs better than this; below the size, nothing is worth refusing.
MAX_RATIO = 200
RATIO_FROM_BYTES = 1_000_000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What reading an entry raises; an offset may be beyond what a number of the machine holds.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1


class _BadArchive(ValueError):
    """An archive of which nothing is read. The message says why, after its name."""


def is_archive(name: str) -> bool:
    return name.lower().endswith(".zip")


def unpack(name: str, content: bytes) -> tuple[Sifted, list[tuple[str, bytes | Skipped]]]:
    """What of the archive `name` is to be read, and its files: none when there is something wrong with the whole of it."""
    try:
        return _unpack(name, content)
    except _BadArchive as error:
        return Sifted((), (Skipped(name, str(error)),), 0), []


def _unpack(name: str, content: bytes) -> tuple[Sifted, list[tuple[str, bytes | Skipped]]]:
    # Each entry has a header of its own, so there are no more of them: asked before any is read into memory.
    if content.count(_ENTRY) > MAX_ENTRIES:
        raise _BadArchive(f"holds more than {MAX_ENTRIES:,} files; choose the folder that you mean")
    try:
        archive = zipfile.ZipFile(BytesIO(content))
        entries = {_path(name, entry.filename): entry for entry in archive.infolist() if _is_file(entry)}
    except _DAMAGED as error:
        raise _BadArchive(f"is not a zip archive that can be read ({error})") from None
    budget = _Budget()
    gitignores = {}
    for path, entry in entries.items():
        if PurePosixPath(path).name == GITIGNORE and entry.file_size <= MAX_GITIGNORE_BYTES:
            rules = _read(archive, entry, path, budget)
            if isinstance(rules, bytes):
                gitignores[path] = rules
    try:
        sifted = sift(entries, gitignores)
    except TooManyRules as error:
        raise _BadArchive(f"is not read: {error}") from None
    return sifted, [(path, _read(archive, entries[path], path, budget)) for path in sifted.taken]


def _is_file(entry: zipfile.ZipInfo) -> bool:
    # Links are left out unnamed, as in a folder.
    return not entry.is_dir() and not stat.S_ISLNK(entry.external_attr >> 16)


class _Budget:
    """The bytes that may still come out of one archive."""

    def __init__(self) -> None:
        self._left = MAX_UNPACKED_BYTES

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _BadArchive(f"unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; choose the folder that you mean")


def _path(archive: str, inside: str) -> str:
    """Where an entry is: below a folder called like the archive, unless there is one already."""
    root = clean(PurePosixPath(clean(archive)).stem) or "archive"
    path = clean(inside)
    return path if path.startswith(f"{root}/") else f"{root}/{path}"


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str, budget: _Budget) -> bytes | Skipped:
    if entry.flag_bits & _ENCRYPTED:
        return Skipped(path, "encrypted")
    if entry.compress_type not in METHODS:
        return Skipped(path, "packed in a way that is not read here")
    if entry.file_size > MAX_FILE_BYTES:
        return Skipped(path, f"larger than {MAX_FILE_BYTES:,} bytes")
    if entry.file_size > max(RATIO_FROM_BYTES, MAX_RATIO * entry.compress_size):
        return Skipped(path, f"unpacks to more than {MAX_RATIO} times its size")
    try:
        with archive.open(entry) as file:
            # The size that an entry claims bounds what is read of it.
            content = file.read(entry.file_size)
    except _DAMAGED as error:
        return Skipped(path, f"damaged ({error})")
    budget.spend(len(content))
    return content
