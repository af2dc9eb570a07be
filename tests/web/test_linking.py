"""Sharing: who has a link reads what was said until it was made, and nobody reads or learns anything else."""

import re
from collections.abc import Iterator

import httpx2
import pytest

from app.store import keys
from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess, serving, until
from tests.test_finding import asked, fork
from tests.turns import half_answered


@pytest.fixture
def stranger(server: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server, timeout=30) as http:
        yield http


def linked(client: Client, session: str) -> str:
    answer = client.http.post(f"/api/sessions/{session}/link")
    assert answer.status_code == 201, answer.text
    assert answer.json() == client.session(session)["link"]
    return str(answer.json()["path"])


def read(http: httpx2.Client, path: str) -> list[str] | None:
    """The questions that `path` shows; None when it leads nowhere."""
    answer = http.get(path)
    if answer.status_code == 404:
        assert answer.json()["code"] == "link_not_found"
        return None
    assert answer.status_code == 200, answer.text
    return re.findall("<h2>(.*?)</h2>", answer.text)


def test_whoever_has_the_link_reads_what_there_was_when_it_was_made(client: Client, stranger: httpx2.Client) -> None:
    client.add_context(name="Docs of ours")
    session = asked(client, "One?", "Two?", session=client.start("Docs of ours")["session"])
    assert client.session(session)["link"] is None
    path = linked(client, session)
    asked(client, "Three?", session=session)
    assert read(stranger, path) == ["One?", "Two?"]
    # Asked for again, it is the same link, and leads further.
    assert linked(client, session) == path
    assert read(stranger, path) == ["One?", "Two?", "Three?"]
    page = stranger.get(path)
    assert "ünïcode 🎉" in page.text
    assert "Docs of ours" in page.text
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["cache-control"] == "no-store"
    assert "script" not in page.headers["content-security-policy"]
    # Who reads it becomes nobody's owner, and of the session they know nothing that leads to it.
    assert "set-cookie" not in page.headers
    for method, rest in (("GET", ""), ("GET", "/export"), ("POST", "/link"), ("DELETE", "/link"), ("DELETE", "")):
        assert stranger.request(method, f"/api/sessions/{session}{rest}").status_code == 404
    assert read(stranger, path) == ["One?", "Two?", "Three?"]


def test_a_link_that_was_taken_back_leads_nowhere_and_the_next_is_another(
    client: Client, stranger: httpx2.Client
) -> None:
    client.add_context()
    session = asked(client, "One?")
    path = linked(client, session)
    assert client.http.delete(f"/api/sessions/{session}/link").status_code == 204
    assert client.http.delete(f"/api/sessions/{session}/link").status_code == 204
    assert client.session(session)["link"] is None
    assert read(stranger, path) is None
    again = linked(client, session)
    assert again != path
    assert (read(stranger, path), read(stranger, again)) == (None, ["One?"])


def test_a_link_goes_with_its_conversation_and_no_branch_inherits_it(
    client: Client, stranger: httpx2.Client, redis: RedisProcess
) -> None:
    client.add_context()
    session = asked(client, "One?")
    path = linked(client, session)
    branch = asked(client, "Two?", session=fork(client, session, 1))
    assert client.session(branch)["link"] is None
    other = linked(client, branch)
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    assert (read(stranger, path), read(stranger, other)) == (None, ["One?", "Two?"])
    assert client.http.post(f"/api/sessions/{session}/link").status_code == 404
    assert [name for name in redis.named() if session.removeprefix("s_") in name] == []


def test_no_other_address_leads_anywhere(client: Client, stranger: httpx2.Client) -> None:
    client.add_context()
    session = asked(client, "One?")
    digits = session.removeprefix(keys.SESSION_PREFIX)
    for guess in (session, f"l_{digits}", f"l_{digits}{'0' * 32}", f"l_{'0' * 64}", "l_", "x", f"t_{digits}{digits}"):
        assert read(stranger, f"/shared/{guess}") is None
    path = linked(client, session)
    last = "1" if path[-1] == "0" else "0"
    for guess in (path[:-1] + last, path[:-1], f"{path}0", path.upper().replace("/SHARED/L", "/shared/l")):
        assert read(stranger, guess) is None
    page = stranger.get(path[:-1], headers={"accept": "text/html"})
    assert (page.status_code, "This link leads nowhere" in page.text) == (404, True)


def test_what_is_still_being_answered_is_not_shared(
    client: Client, stranger: httpx2.Client, upstream: Recorder
) -> None:
    client.add_context()
    with half_answered(client, upstream) as (session, _, stream):
        refused = client.http.post(f"/api/sessions/{session}/link")
        assert (refused.status_code, refused.json()["code"]) == (409, "cannot_link")
        upstream.release()
        list(stream)
    first = client.session(session)["turns"][0]["question"]
    path = linked(client, session)
    upstream.hold()
    with half_answered(client, upstream, session=session) as (_, _, stream):
        assert linked(client, session) == path
        assert read(stranger, path) == [first]
        upstream.release()
        list(stream)
    empty = client.start()["session"]
    assert client.http.post(f"/api/sessions/{empty}/link").json()["code"] == "cannot_link"


def test_where_sharing_is_off_nothing_is_shared_and_old_links_lead_nowhere(
    client: Client, redis: RedisProcess, upstream: Recorder
) -> None:
    client.add_context()
    session = asked(client, "One?")
    path = linked(client, session)
    with (
        serving(redis.url, upstream.url, sharing="off") as url,
        httpx2.Client(base_url=url, timeout=30, cookies=dict(client.http.cookies)) as http,
    ):
        assert read(http, path) is None
        assert Client(http).session(session)["link"] is None
        refused = http.post(f"/api/sessions/{session}/link")
        assert (refused.status_code, refused.json()["code"]) == (403, "sharing_off")
        assert "conversation-menu" in http.get("/").text
        assert 'data-does="share"' not in http.get("/").text


def test_a_link_is_no_use_of_the_conversation_and_in_no_log(
    client: Client, stranger: httpx2.Client, redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    client.add_context()
    session = asked(client, "One?")
    path = linked(client, session)
    key = keys.used(keys.share_of(session))
    redis.say(f"ZADD {key} 1000 {session}".encode())
    with caplog.at_level("DEBUG"):
        assert read(stranger, path) == ["One?"]

    def logged() -> str:
        return "".join(str(record.__dict__) for record in caplog.records if record.name.startswith("headstart"))

    until(lambda: "/shared/{link}" in logged(), "the request's line")
    assert path not in logged()
    assert redis.say(f"ZSCORE {key} {session}".encode()).split(b"\r\n")[1] == b"1000"
