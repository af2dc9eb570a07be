"""Finding one's conversations again: listed, searched, renamed, exported, and led from branch to branch."""

import json
import re
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.store import keys
from app.turns.finding import MAX_PINNED
from app.web.export import disposition
from tests.client import Client
from tests.recorder import Recorder, halfway, refuse
from tests.running import RedisProcess
from tests.turns import stop


def listed(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.http.get("/api/sessions", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(client: Client, **query: Any) -> list[str]:
    return [one["session"] for one in listed(client, **query)["sessions"]]


def asked(client: Client, *questions: str, session: str | None = None) -> str:
    session = session or client.start()["session"]
    for question in questions:
        assert client.ask(session, question)[-1].name == "verdict"
    return session


def fork(client: Client, session: str, after_turn: int) -> str:
    answer = client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": after_turn})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session"])


def ways(client: Client, session: str) -> list[list[str]]:
    return [turn["branches"] for turn in client.session(session)["turns"]]


# The list


def test_conversations_are_listed_from_their_first_question_on_the_last_asked_first(client: Client) -> None:
    client.add_context()
    client.start()
    assert listed(client) == {"pinned": [], "sessions": [], "next": None}
    first, second = asked(client, "One?"), asked(client, "Two?", "Three?")
    assert ids(client) == [second, first]
    asked(client, "And again?", session=first)
    assert ids(client) == [first, second]
    one = listed(client)["sessions"][1]
    assert (one["title"], one["turns"], one["context_name"], one["match"]) == ("Two?", 2, "docs", None)
    assert one["created_at"] <= one["asked_at"]


def test_a_list_is_of_its_owner_alone(client: Client, server: str) -> None:
    client.add_context()
    session = asked(client, "Mine?")
    with httpx2.Client(base_url=server, timeout=30) as http:
        other = Client(http)
        assert ids(other) == ids(other, q="Mine") == []
        for method, path in (("PATCH", ""), ("GET", "/export")):
            body = {"title": "Yours"} if method == "PATCH" else None
            assert http.request(method, f"/api/sessions/{session}{path}", json=body).status_code == 404
    assert listed(client)["sessions"][0]["title"] == "Mine?"


def test_pages_of_a_list_join_to_all_of_it(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    sessions = [asked(client, f"Number {number}?") for number in range(7)]
    # Also when several were asked in one millisecond.
    owner = redis.named("hs:owner:*:sessions")[0]
    redis.say(f"ZADD {owner} {' '.join(f'1700000000000 {session}' for session in sessions[:5])}".encode())
    for most in range(1, 9):
        seen: list[str] = []
        cursor = ""
        for _ in range(20):
            page = listed(client, limit=most, cursor=cursor)
            assert len(page["sessions"]) <= most
            seen += [one["session"] for one in page["sessions"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen[:2] == [sessions[6], sessions[5]]
        assert sorted(seen) == sorted(sessions), most


def test_a_crash_before_the_question_or_after_the_erasing_leaves_nothing_in_the_list(
    client: Client, redis: RedisProcess
) -> None:
    client.add_context()
    session = asked(client, "Here?")
    owner = redis.named("hs:owner:*:sessions")[0]
    for name in (keys.new_session_id(), client.start()["session"]):
        redis.say(f"ZADD {owner} 99999999999999 {name}".encode())
        assert ids(client) == ids(client, q="here") == [session]
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    assert ids(client) == []


def test_each_in_a_list_says_how_many_branches_there_are_also_those_that_the_list_leaves_out(client: Client) -> None:
    client.add_context()
    alone = asked(client, "Alone?")
    root = asked(client, "Where is the lighthouse?")
    branches = [asked(client, f"And ship {number}?", session=fork(client, root, 1)) for number in range(3)]
    fork(client, root, 1)  # one that nobody asked anything is in no list
    counts = {one["session"]: one["branches"] for one in listed(client)["sessions"]}
    assert counts == {alone: 1, root: 4, **dict.fromkeys(branches, 4)}
    for few in ({"limit": 1}, {"q": "ship 2"}):
        assert [(one["session"], one["branches"]) for one in listed(client, **few)["sessions"]] == [(branches[2], 4)]
    assert client.http.delete(f"/api/sessions/{branches[0]}").status_code == 204
    assert [one["branches"] for one in listed(client)["sessions"]] == [3, 3, 3, 1]


def test_what_was_erased_is_in_no_list_and_no_family(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    session = asked(client, "First?")
    other = asked(client, "Second?", session=fork(client, session, 0))
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    kept = client.session(other)
    assert (kept["forked_from"], ways(client, other)) == (None, [[other]])
    assert client.http.delete(f"/api/sessions/{other}").status_code == 204
    assert redis.named("hs:owner:*:sessions") == redis.named("hs:family:*") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"cursor": "7"}, "cursor"), ({"q": "x" * 201}, "q")],
)
def test_what_a_list_cannot_be_asked_is_said(client: Client, query: dict[str, Any], field: str) -> None:
    refused = client.http.get("/api/sessions", params=query)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


# Search


def test_words_are_found_in_titles_questions_and_answers_whatever_their_case(client: Client) -> None:
    client.add_context()
    first = asked(client, "Where is the Lighthouse?", "Who keeps it?")
    second = asked(client, "What (else) is there?")
    assert ids(client, q="lightHOUSE") == [first]
    assert ids(client, q="keeps IT") == [first]
    assert "Who keeps it?" in listed(client, q="keeps")["sessions"][0]["match"]
    assert ids(client, q="(else)") == [second]
    answer = client.session(second)["turns"][0]["answer"]
    assert set(ids(client, q=answer[:10])) == {first, second}
    assert set(ids(client, q="DOCS")) == {first, second}
    assert ids(client, q=".*") == ids(client, q="nowhere") == []
    client.http.patch(f"/api/sessions/{second}", json={"title": "Everything else"})
    assert ids(client, q="everything") == [second]
    # What stands around them begins so shortly before them that a narrow row has them in sight, and with a whole word.
    asked(client, "The keeper of the lighthouse\ncounts the Ships that pass by night, and " * 3, session=first)
    assert listed(client, q="counts the ships")["sessions"][0]["match"].startswith(
        "…the lighthouse counts the Ships that"
    )
    found = [(one["match_turn"], one["title"]) for one in listed(client, q="lighthouse")["sessions"]]
    assert found == [(None, "Where is the Lighthouse?")]
    assert [one["match_turn"] for one in listed(client, q="counts the")["sessions"]] == [3]
    assert ids(client, q="lighthouse  Counts") == [first]


def test_a_search_goes_on_where_it_stopped(client: Client) -> None:
    client.add_context()
    sessions = [asked(client, f"Number {number}, {'odd' if number % 2 else 'even'}?") for number in range(5)]
    page = listed(client, q="even", limit=2)
    assert [one["session"] for one in page["sessions"]] == [sessions[4], sessions[2]]
    rest = listed(client, q="even", limit=2, cursor=page["next"])
    assert ([one["session"] for one in rest["sessions"]], rest["next"]) == ([sessions[0]], None)


# Titles


def test_a_title_is_the_first_question_cut_between_words_or_what_the_owner_says(client: Client) -> None:
    client.add_context()
    session = asked(client, "Why  is\nthis " + "so very long " * 20)
    title = client.session(session)["title"]
    assert title.startswith("Why is this so very long") and title.endswith("…") and len(title) <= 81
    branch = asked(client, "Why not?", session=fork(client, session, 0))
    renamed = client.http.patch(f"/api/sessions/{branch}", json={"title": "  Of\tlengths "})
    assert renamed.json() == {"session": branch, "title": "Of lengths", "pinned": False}
    assert [client.session(one)["title"] for one in (session, branch)] == ["Of lengths"] * 2
    assert client.session(fork(client, session, 1))["title"] == "Of lengths"
    for bad in ("", "   ", "x" * 201, "a\0", 7, None):
        refused = client.http.patch(f"/api/sessions/{session}", json={"title": bad})
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "title"


# Pinned


def pin(client: Client, session: str, pinned: bool = True) -> dict[str, Any]:
    response = client.http.patch(f"/api/sessions/{session}", json={"pinned": pinned})
    body: dict[str, Any] = response.json()
    assert response.status_code == 200, body
    return body


def pinned(client: Client) -> list[str]:
    return [one["session"] for one in listed(client)["pinned"]]


def test_what_is_pinned_comes_with_the_first_part_of_a_list_however_long_ago_it_was_asked(client: Client) -> None:
    client.add_context()
    first, second, *others = [asked(client, f"Number {number}?") for number in range(5)]
    assert pin(client, first) == {"session": first, "title": "Number 0?", "pinned": True}
    pin(client, second)
    page = listed(client, limit=2)
    assert [one["session"] for one in page["pinned"]] == [second, first]
    assert [one["session"] for one in page["sessions"]] == others[:0:-1]
    assert listed(client, limit=2, cursor=page["next"])["pinned"] == listed(client, q="Number")["pinned"] == []
    # Everything is in the list itself too, as it would be.
    assert ids(client) == [*reversed(others), second, first]
    asked(client, "And again?", session=first)
    assert pinned(client) == [first, second]
    assert pin(client, second, False)["pinned"] is False
    pin(client, second, False)
    assert pinned(client) == [first]


def test_a_conversation_is_pinned_with_its_branches_and_shows_the_one_that_was_asked_last(client: Client) -> None:
    client.add_context()
    root = asked(client, "Where is the lighthouse?")
    before = asked(client, "And ship 1?", session=fork(client, root, 1))
    pin(client, before)
    assert pinned(client) == [before]
    after = asked(client, "And ship 2?", session=fork(client, root, 1))
    assert pinned(client) == [after]
    renamed = client.http.patch(f"/api/sessions/{root}", json={"title": "Ships"}).json()
    assert renamed == {"session": root, "title": "Ships", "pinned": True}
    assert [(one["title"], one["branches"]) for one in listed(client)["pinned"]] == [("Ships", 3)]
    # Whichever of them was pinned: it is so as long as one is left.
    for gone, left in ((after, [before]), (before, [root]), (root, [])):
        assert client.http.delete(f"/api/sessions/{gone}").status_code == 204
        assert pinned(client) == left


def test_what_was_pinned_and_erased_leaves_nothing(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    alone, root = asked(client, "Alone?"), asked(client, "Root?")
    asked(client, "Branch?", session=fork(client, root, 0))
    for session in (alone, root):
        pin(client, session)
    assert client.http.delete(f"/api/sessions/{alone}").status_code == 204
    assert client.http.delete(f"/api/sessions/{root}?branches=true").status_code == 204
    assert redis.named("hs:owner:*:pinned") == redis.named("hs:family:*") == []
    # A crash between the two leaves a name, until somebody looks.
    kept = asked(client, "Kept?")
    pin(client, kept)
    redis.say(f"SADD {redis.named('hs:owner:*:pinned')[0]} {'ab' * 16}".encode())
    assert pinned(client) == [kept]
    assert redis.say(f"SCARD {redis.named('hs:owner:*:pinned')[0]}".encode()).strip() == b":1"


def test_a_pin_is_shown_while_a_branch_of_it_is_about_to_be_asked_and_if_that_never_comes(
    client: Client, redis: RedisProcess
) -> None:
    client.add_context()
    first, second = asked(client, "One?"), asked(client, "Two?")
    for session in (first, second):
        pin(client, session)
    branch = fork(client, first, 0)
    redis.say(f"ZADD {redis.named('hs:owner:*:sessions')[0]} 99999999999999 {branch}".encode())
    assert pinned(client) == [second, first]


def test_a_pin_that_cannot_be_says_why_and_changes_nothing(client: Client, server: str, redis: RedisProcess) -> None:
    client.add_context()

    def refused(session: str, body: Any) -> tuple[str, str]:
        response = client.http.patch(f"/api/sessions/{session}", json=body)
        said = response.json()
        assert response.status_code == (409 if said["code"] == "cannot_pin" else 422), said
        [error] = said.get("errors") or [{"field": said["code"], "message": said["detail"]}]
        return error["field"], error["message"]

    new = client.start()["session"]
    families = redis.named("hs:family:*")
    assert refused(new, {"pinned": True}) == ("cannot_pin", "Nothing was asked in this conversation yet.")
    assert redis.named("hs:family:*") == families
    sessions = [asked(client, f"Number {number}?") for number in range(MAX_PINNED + 1)]
    for session in sessions[:-1]:
        pin(client, session)
    # One that is pinned already is none more.
    pin(client, sessions[0])
    full = "20 conversations are pinned already; unpin one of them first."
    assert refused(sessions[-1], {"pinned": True, "title": "Nope"}) == ("cannot_pin", full)
    assert client.session(sessions[-1])["title"] == f"Number {MAX_PINNED}?"
    assert refused(sessions[-1], {}) == ("title", "there is nothing to change: send `title`, `pinned` or both")
    for bad in (None, "true", 1):
        assert refused(sessions[-1], {"pinned": bad})[0] == "pinned"
    assert len(pinned(client)) == MAX_PINNED
    with httpx2.Client(base_url=server, timeout=30) as http:
        assert http.patch(f"/api/sessions/{sessions[0]}", json={"pinned": False}).status_code == 404
        assert listed(Client(http))["pinned"] == []
    assert len(pinned(client)) == MAX_PINNED


# Branches


def test_every_branch_leads_to_every_other_at_the_question_where_they_part(client: Client) -> None:
    client.add_context()
    root = asked(client, "1", "2", "3")
    edited = asked(client, "2b", session=fork(client, root, 1))
    deeper = asked(client, "3c", session=fork(client, edited, 2))
    early = asked(client, "2d", session=fork(client, deeper, 1))
    first = asked(client, "1e", session=fork(client, early, 0))
    fork(client, root, 2)  # one that nobody asked anything leads nowhere
    assert ways(client, root) == [[root, first], [root, deeper, early], [root]]
    assert ways(client, edited) == [[edited, first], [root, edited, early]]
    assert ways(client, deeper) == [[deeper, first], [root, deeper, early], [deeper]]
    assert ways(client, early) == [[early, first], [root, deeper, early]]
    assert ways(client, first) == [[deeper, first]]
    assert client.session(deeper)["forked_from"] == {"session": edited, "after_turn": 2}
    assert len({one["conversation"] for one in listed(client)["sessions"]}) == 1
    # What lies between two branches can go; they still know where they part.
    client.http.delete(f"/api/sessions/{edited}")
    assert ways(client, deeper) == [[deeper, first], [root, deeper, early], [deeper]]
    assert client.http.delete(f"/api/sessions/{deeper}?branches=true").status_code == 204
    assert ids(client) == []


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=8))
def test_branches_are_those_that_share_all_questions_before(client: Client, steps: list[tuple[int, int, bool]]) -> None:
    client.add_context()
    said = {asked(client, "0", "1"): ["0", "1"]}
    for number, (which, after, again) in enumerate(steps):
        base = sorted(said)[which % len(said)]
        after = min(after, len(said[base]))
        questions = [f"{number}a", f"{number}b"][: 1 + again]
        said[asked(client, *questions, session=fork(client, base, after))] = [*said[base][:after], *questions]
    for session, questions in said.items():
        for at, found in enumerate(ways(client, session)):
            there = {own[at] for own in said.values() if len(own) > at and own[:at] == questions[:at]}
            assert session in found
            assert sorted(said[way][at] for way in found) == sorted(there)


def test_forks_asked_at_once_all_read_what_is_warm(client: Client) -> None:
    client.add_context()
    session = asked(client, "One?")
    assert client.warm(session, wait=True)["state"] == "warm"
    for branch in [fork(client, session, 1) for _ in range(3)]:
        assert client.ask(branch, "At once?")[0].data["plan"] == "hit"


# Export


def test_an_export_has_everything_that_was_said(client: Client) -> None:
    client.add_context()
    session = asked(client, "What is *this*?\nReally?", "And that?")
    turns = client.session(session)["turns"]
    file = client.http.get(f"/api/sessions/{session}/export")
    assert file.headers["content-type"] == "text/markdown; charset=utf-8"
    assert file.headers["content-disposition"].startswith('attachment; filename="What is this Really.md"')
    for text in (
        "# What is *this*? Really?",
        "> What is *this*?\n> Really?",
        "## 2",
        *(turn["answer"] for turn in turns),
    ):
        assert text in file.text
    assert file.text.count("First text after") == 2
    whole = client.http.get(f"/api/sessions/{session}/export?format=json")
    assert whole.headers["content-disposition"].split(";")[1].strip() == 'filename="What is this Really.json"'
    assert whole.json()["turns"] == turns
    page = client.http.get(f"/api/sessions/{session}/export?format=html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-disposition"].split(";")[1].strip() == 'filename="What is this Really.html"'
    assert "<h2>What is *this*?\nReally?</h2>" in page.text
    assert page.text.count("Asked 2") == 2
    assert "ünïcode 🎉" in page.text
    assert client.http.get(f"/api/sessions/{session}/export?format=pdf").status_code == 422


def test_what_follows_an_answer_that_was_broken_off_is_no_part_of_its_code(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.append(halfway("Run:\n\n```sh\nmake run\n" * 2))
    with client.asking(session, "How?") as stream:
        first = next(stream)
        next(event for event in stream if event.name == "content_block_delta")
        stop(client, first.data["turn"])
        assert [event.name for event in stream][-1] == "stopped"
    upstream.script.append(refuse(400, "invalid_request_error", "No:\n\n```"))
    client.ask(session, "Really?")
    asked(client, "So?", session=session)
    text = client.http.get(f"/api/sessions/{session}/export").text
    assert "```sh\nmake run\n```\n\n*Stopped here. " in text
    tokens = MarkdownIt("commonmark").parse(text)
    headings = [then.content for token, then in pairwise(tokens) if token.type == "heading_open"]
    assert headings == ["How?", "1", "2", "3"]


@given(st.text(max_size=200))
def test_a_title_makes_a_file_name_that_no_header_and_no_system_stumbles_over(title: str) -> None:
    header = disposition(title, "json")
    header.encode("latin-1")
    found = re.fullmatch(
        r"attachment; filename=\"([A-Za-z0-9 _-]+)\.json\"; filename\*=UTF-8''([\w.~%-]+)\.json", header
    )
    assert found, header
    name = httpx2.URL(f"http://a/?{found[2]}").query.decode()
    assert not re.search(r"%(00|2F|5C|0A|0D)", name)
    assert json.dumps(header)
