"""Sharing: who has a link reads what was said until it was made, and nobody reads or learns anything else."""

import asyncio
import random
import re
from collections.abc import Iterator

import httpx2
import pytest

from app.store import keys
from app.web.unchanging import Unchanging
from tests.client import Client
from tests.recorder import Recorder, refuse
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


def test_what_it_cost_why_it_failed_and_what_it_is_called_later_is_not_passed_on(
    client: Client, stranger: httpx2.Client, upstream: Recorder
) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.append(refuse(400, "invalid_request_error", "no credit in acme-prod"))
    assert client.ask(session, "One?")[-1].name == "error"
    refused = client.http.post(f"/api/sessions/{session}/link")
    assert (refused.status_code, refused.json()["code"]) == (409, "cannot_link")
    asked(client, "One?", session=session)
    client.http.patch(f"/api/sessions/{session}", json={"title": "As it was called"})
    path = linked(client, session)
    branch = fork(client, session, 2)
    client.http.patch(f"/api/sessions/{branch}", json={"title": "Layoffs"})
    assert read(stranger, path) == ["One?"]
    whole = stranger.get(path).text
    assert "<h1>As it was called</h1>" in whole
    for hidden in ("Layoffs", "acme", "$", "First text after", session):
        assert hidden not in whole
    file = client.http.get(f"/api/sessions/{session}/export?format=html").text
    assert ("<h1>Layoffs</h1>" in file, "acme" in file, "$" in file) == (True, False, False)
    linked(client, session)
    assert "<h1>Layoffs</h1>" in stranger.get(path).text


def test_each_branch_says_which_others_are_shared(client: Client) -> None:
    client.add_context()
    session = asked(client, "One?")
    branch, other = fork(client, session, 1), fork(client, session, 1)
    linked(client, session)
    linked(client, other)
    others = {one: set(client.session(one)["linked_branches"]) for one in (session, branch, other)}
    assert others == {session: {other}, branch: {session, other}, other: {session}}


def test_where_people_log_in_so_do_readers(client: Client, redis: RedisProcess, upstream: Recorder) -> None:
    client.add_context()
    path = linked(client, asked(client, "One?"))
    with (
        serving(redis.url, upstream.url, login_header="x-user") as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        assert http.get(path).status_code == 401
        http.headers["x-user"] = "anna"
        assert read(http, path) == ["One?"]


def test_it_is_sent_to_whatever_can_read_it(client: Client, stranger: httpx2.Client) -> None:
    client.add_context()
    path = linked(client, asked(client, "One?"))
    packed, plain = (stranger.get(path, headers={"accept-encoding": coding}) for coding in ("gzip", "identity"))
    assert (packed.headers.get("content-encoding"), plain.headers.get("content-encoding")) == ("gzip", None)
    assert packed.text == plain.text
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["referrer-policy"] == "no-referrer"
    head = stranger.head(path)
    assert (head.status_code, head.content) == (200, b"")


async def test_a_page_is_made_once_and_one_at_a_time() -> None:
    making = made = 0

    async def make(size: int) -> str:
        nonlocal making, made
        making, made = making + 1, made + 1
        assert making == 1
        await asyncio.sleep(0.01)
        making -= 1
        return random.Random(made).randbytes(size).hex()

    pages = Unchanging(keep=3000)
    first = await asyncio.gather(*(pages.page(of, lambda: make(1000)) for of in "abababab"))
    assert (made, len(set(first))) == (2, 2)
    # The longest unused goes first, and what is too large for all is kept alone.
    await pages.page("a", lambda: make(1000))
    await pages.page("c", lambda: make(1000))
    assert await pages.page("a", lambda: make(1000)) == first[0]
    assert made == 3
    await pages.page("d", lambda: make(9000))
    await pages.page("d", lambda: make(9000))
    assert made == 4
    await pages.page("a", lambda: make(1000))
    assert made == 5


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
        # It is taken back all the same, for good.
        assert http.delete(f"/api/sessions/{session}/link").status_code == 204
        assert "conversation-menu" in http.get("/").text
        assert 'data-does="share"' not in http.get("/").text
    assert client.session(session)["link"] is None


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
