"""What docs/sandbox.md shows is true: its example runs, its faults are accepted, its tables name what there is."""

import json
import pathlib
import re
from typing import Any

import pytest

from app.sandbox.control import PREFIX
from app.sandbox.faults import Fault
from app.sandbox.profile import PROFILES
from app.sandbox.testing import SandboxServer

DOCS = (pathlib.Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    assert found
    return found[1]


def test_the_example_runs_and_is_short(sandbox: SandboxServer) -> None:
    code = block("python")
    names: dict[str, Any] = {}
    exec(compile(code, "docs/sandbox.md", "exec"), names)
    names["test_the_second_question_reads_the_cache"](sandbox)
    assert len(code[code.index("def test") :].strip().splitlines()) <= 10


def test_the_faults_shown_are_accepted_and_show_every_kind(sandbox: SandboxServer) -> None:
    faults = json.loads(block("json"))
    assert sandbox.http.post(f"{PREFIX}/faults", json=faults).status_code == 200
    shown = {name for fault in faults for name in fault} | {"path", "skip", "message"}
    assert shown == set(Fault.__annotations__)


@pytest.mark.parametrize("path", ["clock", "faults", "cache", "log"])
def test_the_control_api_is_as_described(sandbox: SandboxServer, path: str) -> None:
    assert f"/_sandbox/{path}" in DOCS
    assert sandbox.http.get(f"{PREFIX}/{path}").status_code == 200


def test_the_profiles_are_named_with_their_numbers() -> None:
    assert all(f"`{name}`" in DOCS for name in PROFILES)
    cookbook = PROFILES["cookbook"]
    for number in (cookbook.uncached_tokens_s, cookbook.cached_tokens_s, cookbook.output_tokens_s):
        assert f"{number:,}" in DOCS
