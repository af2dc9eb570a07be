"""Uploaded files to documents, by the rules of a folder on disk: what was chosen itself is taken, what lies in a chosen
folder or archive is sifted. A part's filename is its path below the folder that was chosen, or a bare name."""

from collections.abc import Iterable, Sequence
from itertools import chain

from app.contexts.archive import is_archive, unpack
from app.contexts.documents import Collected, Skipped, take
from app.contexts.sift import GITIGNORE, Sifted, clean, sift


def collect_uploaded(files: Sequence[tuple[str, bytes]]) -> Collected:
    """The documents in `files`, given as (path, content): single files first as they came, then archives, then folders."""
    named = [(clean(path) or "file", content) for path, content in files]
    singles: list[tuple[str, bytes | Skipped]] = []
    packed: list[Iterable[tuple[str, bytes | Skipped]]] = []
    sifted: list[Sifted] = []
    for path, content in named:
        if "/" in path:
            continue
        if is_archive(path):
            inside, unpacked = unpack(path, content)
            sifted.append(inside)
            packed.append(unpacked)
        else:
            singles.append((path, content))
    inside, within = _folders([(path, content) for path, content in named if "/" in path])
    sifted.append(inside)
    collected = take(chain(singles, *packed, within))
    skipped = (*collected.skipped, *chain.from_iterable(one.skipped for one in sifted))
    return Collected(collected.documents, skipped, sum(one.ignored for one in sifted))


def _folders(files: Sequence[tuple[str, bytes]]) -> tuple[Sifted, Iterable[tuple[str, bytes]]]:
    contents = dict(files)
    rules = {path: content for path, content in files if path.endswith(f"/{GITIGNORE}")}
    sifted = sift(contents, rules)
    return sifted, ((path, contents[path]) for path in sifted.taken)
