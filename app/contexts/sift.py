"""Which files of a folder are to be read, by their names: not what `.gitignore` excludes, what may hold secrets, or what
tools installed.

The rules are those of a folder on disk; here they are for one that is only known as a list of paths: an upload, before or
after its bytes came, or an archive.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from app.contexts.documents import MAX_TITLE_CHARS, Skipped
from app.contexts.gitignore import Gitignore, ignored, parse_gitignore
from app.contexts.installed import INSTALLED, MARKS, is_installed
from app.prompt.text import UnsafeText, check_text

GITIGNORE = ".gitignore"
SECRETS = (
    *(".env", ".env.*", "*.env", ".netrc", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", ".pgpass"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "credentials"),
)
EXAMPLES = (".example", ".sample", ".template", ".dist")
# Rules that are tried, over all paths: a stranger may have written both.
MAX_TRIED = 2_000_000
MAX_GITIGNORE_BYTES = 100_000
MAX_DEPTH = 100
TOO_PRIVATE = "may hold secrets; name the file itself to add it"


class TooManyRules(ValueError):
    """More `.gitignore` rules than can be tried on so many files. The message says what to do."""

    def __init__(self) -> None:
        super().__init__("the .gitignore files have too many rules for so many files; choose a smaller folder")


@dataclass(frozen=True, slots=True)
class Sifted:
    """The paths to be read, in the order in which a folder is walked; what was left out by name, a whole folder with a slash
    at its end, and how many were left out by `.gitignore` files, which are too many to name."""

    taken: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    ignored: int


def sift(paths: Iterable[str], gitignores: Mapping[str, bytes]) -> Sifted:
    """Sift `paths`, relative ones whose first part is the folder that was chosen; it is chosen whatever its name is.

    `gitignores` has the contents of the `.gitignore` files among them. Raises `TooManyRules`.
    """
    if any(len(content) > MAX_GITIGNORE_BYTES for content in gitignores.values()):
        raise TooManyRules
    found = sorted(map(_pure, set(paths)), key=lambda path: path.parts)
    judge = _Judge(gitignores, frozenset(path for path in found if path.name in MARKS))
    skipped: dict[str, Skipped] = {}
    taken: list[PurePosixPath] = []
    ignored_files = 0
    for path in found:
        if (reason := _unsafe(path)) is not None:
            skipped[str(path)] = reason
            continue
        verdict = judge.verdict(path)
        if verdict is None:
            taken.append(path)
        elif isinstance(verdict, Skipped):
            skipped[verdict.title] = verdict
        elif verdict == "ignored":
            ignored_files += 1
    return Sifted(tuple(map(str, taken)), tuple(skipped.values()), ignored_files)


def clean(path: str) -> str:
    """`path` as it may be shown and matched: relative, with forward slashes, never leading out of its folder."""
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))


def may_be_secret(name: str) -> bool:
    """Whether a file of this name usually holds what nobody should read: a context is sent away, and shown to others."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in SECRETS) and not name.lower().endswith(EXAMPLES)


# Left out without a word of its own, or by name.
_Verdict = Literal["git", "ignored"] | Skipped


class _Folder(NamedTuple):
    """What is to be said of all that a folder holds, and otherwise the rules for it, from the top down."""

    verdict: _Verdict | None
    rules: Sequence[Gitignore]


class _Judge:
    """Says what is to be said of a path, where `marks` are the files by which tools claim folders: nothing, or a verdict."""

    def __init__(self, gitignores: Mapping[str, bytes], marks: frozenset[PurePosixPath]) -> None:
        folders = {_pure(path).parent: content for path, content in gitignores.items()}
        self._rules = {folder: parse_gitignore(folder, content) for folder, content in folders.items()}
        self._marks = marks
        self._folders: dict[PurePosixPath, _Folder] = {}
        self._tried = 0

    def verdict(self, path: PurePosixPath) -> _Verdict | None:
        """What is to be said of a file: what is said of the topmost folder that it lies in of which something is said, or
        else of itself."""
        if len(path.parts) < 2:
            return None
        folder = self._folder(path.parent)
        return folder.verdict or self._verdict(path, folder.rules, is_folder=False)

    def _folder(self, path: PurePosixPath) -> _Folder:
        # Looked at once each, and from its parent alone: a stranger may have made it deep, and put much into it.
        found = self._folders.get(path)
        if found is None:
            own = [self._rules[path]] if path in self._rules else []
            if path.parent == path:
                found = _Folder(None, own)
            else:
                above = self._folder(path.parent)
                chosen = len(path.parts) == 1
                verdict = None if chosen else above.verdict or self._verdict(path, above.rules, is_folder=True)
                found = _Folder(verdict, [*above.rules, *own])
            self._folders[path] = found
        return found

    def _verdict(self, entry: PurePosixPath, rules: Sequence[Gitignore], *, is_folder: bool) -> _Verdict | None:
        title = f"{entry}/" if is_folder else str(entry)
        if may_be_secret(entry.name):
            return Skipped(title, TOO_PRIVATE)
        if entry.name == ".git":
            return "git"
        self._tried += sum(len(gitignore.rules) for gitignore in rules)
        if self._tried > MAX_TRIED:
            raise TooManyRules
        if ignored(entry, rules, is_folder=is_folder):
            return "ignored"
        if is_folder and is_installed(entry, self._marks.__contains__):
            return Skipped(title, INSTALLED)
        return None


def _unsafe(path: PurePosixPath) -> Skipped | None:
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    if len(shown) > MAX_TITLE_CHARS:
        return Skipped(f"{shown[:100]}…", "its name is too long")
    if len(path.parts) > MAX_DEPTH:
        return Skipped(f"{shown[:100]}…", f"it lies more than {MAX_DEPTH} folders deep")
    if "\0" in shown:
        return Skipped(shown.replace("\0", "\\0"), "its name has a NUL character")
    try:
        check_text(str(path), "files", "a file name")
    except UnsafeText:
        return Skipped(shown, "its name is not UTF-8")
    return None


def _pure(path: str) -> PurePosixPath:
    return PurePosixPath(path)
