"""Folders that tools fill: what they installed, made or keep to be faster. Nobody wrote it, so nobody asks about it, and it
is often most of a project, whether or not a `.gitignore` says so."""

from collections.abc import Callable
from pathlib import PurePath
from typing import TypeVar

AnyPath = TypeVar("AnyPath", bound=PurePath)

NAMES = frozenset(
    {
        "node_modules",
        "bower_components",
        "jspm_packages",
        "__pycache__",
        ".tox",
        ".nox",
        ".gradle",
        ".terraform",
        "Pods",
    }
)
# A file by which a tool says that a folder is its own, whatever its name: a Python environment, or a cache.
MARKS = ("pyvenv.cfg", "CACHEDIR.TAG")
INSTALLED = "dependencies or a tool’s cache; choose the folder itself to add it"


def is_installed(folder: AnyPath, is_file: Callable[[AnyPath], bool]) -> bool:
    """Whether `folder`, in which what `is_file` says is one, is filled by a tool."""
    return folder.name in NAMES or any(is_file(folder / mark) for mark in MARKS)
