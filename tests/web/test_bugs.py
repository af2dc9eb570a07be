"""What nobody foresaw: it is answered as all else is, with a problem under the headers that every answer has."""

from collections.abc import Iterator

import httpx2
import pytest

from app.contexts.library import Library
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

ORIGIN = "https://front.example"


@pytest.fixture
def url(redis: RedisProcess, upstream: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that has lost its library."""

    async def lost(*_: object) -> None:
        raise RuntimeError("a shelf has fallen over")

    monkeypatch.setattr(Library, "all", lost)
    with serving(redis.url, upstream.url, cors_origins=ORIGIN) as url:
        yield url


def test_a_bug_is_a_problem_with_the_headers_of_all_others(url: str) -> None:
    with httpx2.Client(base_url=url, headers={"Origin": ORIGIN}) as page:
        well, bug = page.get("/healthz"), page.get("/api/contexts")
    assert (bug.status_code, bug.headers["content-type"]) == (500, "application/problem+json")
    assert (bug.json()["code"], bug.json()["request_id"]) == ("internal_error", bug.headers["x-request-id"])
    assert "shelf" not in bug.text
    of_this = {"date", "content-length", "content-type", "x-request-id"}
    assert {name: value for name, value in bug.headers.items() if name not in of_this} == {
        name: value for name, value in well.headers.items() if name not in of_this
    }
    assert bug.headers["access-control-allow-origin"] == ORIGIN


def test_a_bug_behind_a_page_is_a_page(url: str) -> None:
    answer = httpx2.get(url, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
