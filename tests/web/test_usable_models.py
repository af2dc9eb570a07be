"""The models that may be asked, where the operator has said which: nobody names another one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from app.settings import Settings
from tests.client import Client
from tests.commands import headstart
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

pytestmark = pytest.mark.usefixtures("own_models")

CHEAP, USUAL, DEAR = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
ONLY = f"{USUAL}, {CHEAP}"
DOCUMENTS = [{"title": "a", "text": "alpha"}]
# More than the smallest window holds.
LARGE = [{"title": "a", "text": "alpha " * 200_000}]


@pytest.fixture
def narrowed(client: Client, redis: RedisProcess, upstream: Recorder) -> Iterator[Client]:
    """The same owner's, of a server that asks two models alone, after one that asked any."""
    client.add_context(name="dear", model=DEAR)
    with serving(redis.url, upstream.url, models=ONLY) as url, httpx2.Client(base_url=url, timeout=30) as http:
        http.cookies.update(dict(client.http.cookies))
        yield Client(http)


def refused(response: httpx2.Response) -> str:
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    assert error["field"] == "model"
    return str(error["message"])


def test_what_names_another_is_refused_and_told_which_can_be_asked(narrowed: Client) -> None:
    said = f"{DEAR} is not asked here; {ONLY} can be"
    assert (
        refused(narrowed.http.post("/api/contexts", json={"name": "a", "model": DEAR, "documents": DOCUMENTS})) == said
    )
    files = {"files": ("a.txt", b"alpha")}
    assert refused(narrowed.http.post("/api/contexts", data={"name": "a", "model": DEAR}, files=files)) == said
    narrowed.add_context(name="cheap", model=CHEAP)
    assert refused(narrowed.http.post("/api/sessions", json={"context": "cheap", "model": DEAR})) == said
    assert narrowed.http.post("/api/sessions", json={"context": "cheap", "model": USUAL}).json()["model"] == USUAL


def test_a_context_whose_own_may_not_be_asked_any_more_is_asked_with_the_first_that_may(
    narrowed: Client, upstream: Recorder
) -> None:
    session = narrowed.http.post("/api/sessions", json={"context": "dear"}).json()
    assert session["model"] == USUAL
    assert narrowed.ask(session["session"], "Who?")[-1].name == "verdict"
    assert upstream.asks[-1].json["model"] == USUAL


def test_a_branch_goes_on_with_what_was_asked_and_not_with_another(
    client: Client, redis: RedisProcess, upstream: Recorder
) -> None:
    client.add_context(name="dear", model=DEAR)
    forking = f"/api/sessions/{client.start('dear')['session']}/fork"
    with (
        serving(redis.url, upstream.url, models=ONLY) as url,
        httpx2.Client(base_url=url, timeout=30, cookies=dict(client.http.cookies)) as http,
    ):
        for body in ({}, {"model": DEAR}):
            assert http.post(forking, json={"after_turn": 0} | body).json()["model"] == DEAR
        assert http.post(forking, json={"after_turn": 0, "model": CHEAP}).json()["model"] == CHEAP
        other = http.post(forking, json={"after_turn": 0, "model": "claude-opus-5"})
        assert refused(other) == f"claude-opus-5 is not asked here; {ONLY} can be"


@pytest.mark.parametrize(
    ("first", "fields"),
    [
        pytest.param(CHEAP, {"model": "house-model", "thinking": "between_tools"}, id="thinking"),
        pytest.param("claude-haiku-4-5", {"model": DEAR, "effort": "xhigh"}, id="effort"),
        pytest.param("claude-haiku-4-5", {"model": DEAR, "documents": LARGE}, id="size"),
    ],
)
def test_it_is_the_first_that_takes_the_context(
    client: Client, redis: RedisProcess, upstream: Recorder, first: str, fields: dict[str, Any]
) -> None:
    client.add_context(name="dear", **fields)
    with (
        serving(redis.url, upstream.url, models=f"{first},{USUAL}") as url,
        httpx2.Client(base_url=url, timeout=30, cookies=dict(client.http.cookies)) as http,
    ):
        assert Client(http).start("dear")["model"] == USUAL
        assert f'<span class="model">{USUAL}</span>' in http.get("/?context=dear").text


def test_the_page_offers_them_alone_in_their_order(narrowed: Client) -> None:
    page = narrowed.http.get("/").text
    offered = re.search(r'<datalist id="models">(.*?)</datalist>', page, re.S)
    assert offered is not None
    assert re.findall(r'value="([^"]+)"', offered[1]) == [USUAL, CHEAP]
    # Of the context whose own is another, too.
    assert f'<span class="model">{USUAL}</span>' in page and DEAR not in page


def test_the_command_refuses_another_too(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("alpha")
    ended = headstart("contexts", "add", "a", "a.md", "--model", DEAR, home=tmp_path, HEADSTART_MODELS=ONLY)
    assert (ended.code, f"{DEAR} is not asked here; {ONLY} can be" in ended.text) == (1, True), ended.text


def test_the_usual_model_must_be_among_them() -> None:
    def usable(**given: Any) -> tuple[str, ...]:
        return Settings(**{"_env_file": None, **given}).usable_models

    with pytest.raises(ValidationError, match=f"{USUAL}, which HEADSTART_MODEL names, is not among them"):
        usable(models=CHEAP)
    assert usable(model=CHEAP, models=CHEAP) == (CHEAP,)
    assert usable(models=f"{ONLY},{CHEAP}") == (USUAL, CHEAP)
    assert usable(models=" , ") == ()
