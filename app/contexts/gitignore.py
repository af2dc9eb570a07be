"""`.gitignore` files, as git reads them.

A rule is matched against an entry's own path alone, never against those of the folders it lies in: whoever walks a tree
from the top down, and does not enter what is excluded, gets what git would get.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a file. `segments` are glob patterns for the parts of a path; `**` stands for any number of parts."""

    excludes: bool
    folders_only: bool
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gitignore:
    """The rules of the `.gitignore` in `folder`."""

    folder: PurePath
    rules: tuple[Rule, ...]

    def excludes(self, entry: PurePath, *, is_folder: bool) -> bool | None:
        """Whether `entry`, somewhere below the folder, is excluded; None when no rule is about it. The last one counts."""
        names = entry.relative_to(self.folder).parts
        for rule in reversed(self.rules):
            if _matches(rule.segments, names) and (is_folder or not rule.folders_only):
                return rule.excludes
        return None


def read_gitignore(folder: Path) -> Gitignore | None:
    """The rules in `folder`; None when there are none. Raises `OSError` when they cannot be read."""
    file = folder / ".gitignore"
    if not file.is_file():
        return None
    return parse_gitignore(folder, file.read_bytes())


def parse_gitignore(folder: PurePath, content: bytes) -> Gitignore:
    """The rules that `content`, a `.gitignore`, has for `folder`."""
    lines = content.decode("utf-8-sig", "surrogateescape").split("\n")
    return Gitignore(folder, tuple(rule for line in lines if (rule := _rule(line)) is not None))


def ignored(entry: PurePath, ignores: Sequence[Gitignore], *, is_folder: bool) -> bool:
    """Git's rule: the deepest `.gitignore` that has something to say decides. `ignores` go from the top down."""
    decided = (rules.excludes(entry, is_folder=is_folder) for rules in reversed(ignores))
    return next((excluded for excluded in decided if excluded is not None), False)


def _rule(line: str) -> Rule | None:
    line = re.sub(r"(?<!\\) +$", "", line.removesuffix("\r"))
    if line.startswith("#"):
        return None
    pattern = line.removeprefix("!")
    path = pattern.removesuffix("/")
    if not path:
        return None
    # Only a pattern with a slash before its end is about one place; any other is about a name, wherever it is.
    segments = path.removeprefix("/").split("/") if "/" in path else ["**", path]
    return Rule(pattern == line, path != pattern, tuple(map(_glob, segments)))


def _glob(segment: str) -> str:
    """What fnmatch understands: a class for every escaped character, `!` for `^`."""
    return re.sub(r"\\(.)|\[\^", lambda match: f"[{match[1]}]" if match[1] else "[!", segment)


def _matches(segments: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the whole of `names` fits. Looks at each pair at most once: a stranger may have written the rule."""
    if len(segments) == 2 and segments[0] == "**":
        # Most rules are about a name, wherever it is.
        return bool(names) and (segments[1] == "**" or fnmatchcase(names[-1], segments[1]))
    # The numbers of names that the segments so far can have used up.
    used = {0}
    for number, segment in enumerate(segments):
        if segment == "**":
            # At the end it stands for at least one part.
            least = min(used, default=len(names)) + (number == len(segments) - 1)
            used = set(range(least, len(names) + 1))
        else:
            used = {at + 1 for at in used if at < len(names) and fnmatchcase(names[at], segment)}
    return len(names) in used
