"""The HTTP contract: what is refused and how it is said, who owns what, and that nothing leaks."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client import Client
from tests.contract.problems import JSON, NOBODYS_SESSION, NOBODYS_TURN, assert_names, assert_problem
from tests.recorder import Recorder

EVERYTHING_OF_A_SESSION = [
    ("GET", "/api/sessions/{session}", None),
    ("DELETE", "/api/sessions/{session}", None),
    ("POST", "/api/sessions/{session}/warm", {}),
    ("POST", "/api/sessions/{session}/ask", {"question": "Whose?"}),
    ("POST", "/api/sessions/{session}/fork", {"after_turn": 0}),
    ("GET", "/api/turns/{turn}/events", None),
    ("GET", "/api/turns/{turn}/events?after=3", None),
    ("POST", "/api/turns/{turn}/stop", None),
]


@pytest.mark.parametrize(("method", "path", "body"), EVERYTHING_OF_A_SESSION)
@pytest.mark.parametrize("kind", ["unknown", "malformed", "another's"])
def test_what_is_not_yours_does_not_exist(
    client: Client, stranger: Client, method: str, path: str, body: dict[str, Any] | None, kind: str
) -> None:
    session, turn = NOBODYS_SESSION, NOBODYS_TURN
    if kind == "malformed":
        session, turn = "s_{}*\u2028", "t_%2e%2e"
    if kind == "another's":
        client.add_context()
        session = client.start()["session"]
        turn = client.ask(session, "Mine?")[0].data["turn"]
    found = assert_problem(stranger.http.request(method, path.format(session=session, turn=turn), json=body), 404)
    assert found["code"] in ("session_not_found", "turn_not_found")
    assert found["retryable"] is False
    unknown = stranger.http.request(method, path.format(session=NOBODYS_SESSION, turn=NOBODYS_TURN), json=body)
    # Their ids apart, the same answer.
    assert found | {"request_id": ""} == unknown.json() | {"request_id": ""}


def test_a_turn_that_no_session_of_yours_has_does_not_exist(client: Client) -> None:
    client.add_context()
    session = client.start()["session"]
    turn = "t_" + session.removeprefix("s_") + "0" * 32
    assert_problem(client.http.get(f"/api/turns/{turn}/events"), 404, "turn_not_found")
    assert_problem(client.http.post(f"/api/turns/{turn}/stop"), 404, "turn_not_found")


@pytest.mark.parametrize("reference", ["nothing", "c_" + "0" * 40, "ünknown", "a/b"])
def test_an_unknown_context_does_not_exist(client: Client, reference: str) -> None:
    assert_problem(client.http.get(f"/api/contexts/{reference}"), 404)
    assert_problem(client.http.delete(f"/api/contexts/{reference}"), 404)
    assert_problem(client.http.post("/api/sessions", json={"context": reference}), 404, "context_not_found")


def test_unknown_paths_and_methods_are_problems_too(client: Client) -> None:
    assert_problem(client.http.get("/api/nothing"), 404, "not_found")
    refused = client.http.put("/api/contexts")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, POST"


# Ownership


def test_the_first_answer_sets_the_owners_cookie_and_later_ones_do_not(url: str) -> None:
    with httpx2.Client(base_url=url) as http:
        first = http.get("/api/contexts").headers.get_list("set-cookie")
        assert len(first) == 1
        name, *attributes = (part.strip() for part in first[0].split(";"))
        assert name.startswith("headstart_owner=")
        assert len(name.removeprefix("headstart_owner=")) >= 43
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)
        assert "set-cookie" not in http.get("/api/contexts").headers
    with httpx2.Client(base_url=url) as other:
        assert other.get("/api/contexts").headers["set-cookie"] != first[0]


@pytest.mark.parametrize(
    "cookie", ["headstart_owner=short", "headstart_owner=", "other=1", "headstart_owner=\xe9" * 2, "="]
)
def test_a_cookie_that_is_none_of_ours_is_replaced(url: str, cookie: str) -> None:
    response = httpx2.get(f"{url}/api/contexts", headers=[(b"cookie", cookie.encode("latin1"))])
    assert response.status_code == 200
    assert response.headers["set-cookie"].startswith("headstart_owner=")


def test_a_context_added_through_the_api_is_its_owners_alone(client: Client, stranger: Client) -> None:
    added = client.add_context("private")
    assert added["public"] is False
    for reference in ("private", added["context"]):
        shown = client.http.get(f"/api/contexts/{reference}").json()
        assert shown | {"skipped": [], "ignored": 0} == added
        assert_problem(stranger.http.get(f"/api/contexts/{reference}"), 404, "context_not_found")
        assert_problem(stranger.http.delete(f"/api/contexts/{reference}"), 404, "context_not_found")
        assert_problem(stranger.http.post("/api/sessions", json={"context": reference}), 404, "context_not_found")
    listed = [context["context"] for context in stranger.http.get("/api/contexts").json()["contexts"]]
    assert added["context"] not in listed
    assert "asyncio" in [context["name"] for context in stranger.http.get("/api/contexts").json()["contexts"]]


def test_two_owners_of_the_same_texts_do_not_take_them_from_each_other(client: Client, stranger: Client) -> None:
    one, other = client.add_context("mine"), stranger.add_context("theirs")
    assert one["context"] == other["context"]
    own = client.start("mine")["session"]
    assert client.http.delete("/api/contexts/mine").status_code == 204
    assert client.ask(own, "And here?")[-1].name == "verdict"
    session = stranger.start("theirs")["session"]
    assert stranger.ask(session, "Still here?")[-1].name == "verdict"


def test_a_public_context_is_not_anybodys_to_delete(client: Client) -> None:
    assert_problem(client.http.delete("/api/contexts/asyncio"), 404, "context_not_found")


def test_questions_over_a_deleted_context_end_by_saying_so(client: Client) -> None:
    context = client.add_context(instructions="Soon to be gone.")["context"]
    session = client.start()["session"]
    assert client.http.delete(f"/api/contexts/{context}").status_code == 204
    last = client.ask(session, "Anyone?")[-1]
    assert (last.name, last.data["code"], last.data["retryable"]) == ("error", "context_gone", False)
    warm = client.warm(session, wait=True)
    assert (warm["state"], warm["reason"]) == ("failed", "context_gone")
    assert client.session(session)["turns"][0]["state"] == "failed"


# Questions, and bodies in general

BAD_QUESTIONS = [
    pytest.param(b'{"question": ""}', "question", id="empty"),
    pytest.param(b'{"question": " \\n\\t\\u2003"}', "question", id="whitespace"),
    pytest.param(json.dumps({"question": "x" * 1001}).encode(), "question", id="too long"),
    pytest.param(b'{"question": "a\\u0000b"}', "question", id="NUL"),
    pytest.param(b'{"question": "a\\ud800b"}', "question", id="lone surrogate"),
    pytest.param(b'{"question": null}', "question", id="null"),
    pytest.param(b'{"question": 7}', "question", id="a number"),
    pytest.param(b'{"question": ["a"]}', "question", id="a list"),
    pytest.param(b"{}", "question", id="missing"),
    pytest.param(b'{"question": "a", "temperature": 1}', "temperature", id="unknown field"),
    pytest.param(b'{"question": "a"', "", id="broken JSON"),
    pytest.param(b"\xff\xfe", "", id="not UTF-8"),
    pytest.param(b"[]", "", id="a list for a body"),
    pytest.param(b'"question"', "", id="a string for a body"),
    pytest.param(b"null", "", id="null for a body"),
    pytest.param(b"", "", id="no body"),
    pytest.param(b'{"question": ' + b"[" * 100_000, "", id="very deep"),
    pytest.param(b'{"question": NaN}', "question", id="NaN"),
]


@pytest.mark.parametrize(("body", "field"), BAD_QUESTIONS)
def test_a_bad_question_is_refused_naming_the_field_and_costs_nothing(
    client: Client, shared_upstream: Recorder, body: bytes, field: str
) -> None:
    client.add_context()
    session = client.start()["session"]
    before = len(shared_upstream.exchanges)
    assert_names(client.http.post(f"/api/sessions/{session}/ask", content=body, headers=JSON), field)
    assert len(shared_upstream.exchanges) == before
    assert client.session(session)["turns"] == []
    assert client.ask(session, "A good one?")[-1].name == "verdict"


def test_a_question_that_is_too_long_is_told_both_numbers(client: Client) -> None:
    client.add_context()
    session = client.start()["session"]
    said = assert_names(client.http.post(f"/api/sessions/{session}/ask", json={"question": "é" * 1001}), "question")
    assert "1,001" in said
    assert "1,000" in said
    assert client.ask(session, "é" * 1000)[-1].name == "verdict"


def test_a_body_beyond_all_bounds_is_refused_whether_or_not_its_length_is_said(client: Client) -> None:
    client.add_context()
    path = f"/api/sessions/{client.start()['session']}/ask"
    large = b'{"question": "' + b"x" * 3_000_000 + b'"}'
    assert_problem(client.http.post(path, content=large, headers=JSON), 413, "body_too_large")
    pieces = (large[start : start + 100_000] for start in range(0, len(large), 100_000))
    assert_problem(client.http.post(path, content=pieces, headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/sessions", {}, "context"),
        ("/api/sessions", {"context": ""}, "context"),
        ("/api/sessions", {"context": 1}, "context"),
        ("/api/sessions", {"context": "docs", "isolation": "none"}, "isolation"),
        ("/api/sessions", {"context": "docs", "isolation": None}, "isolation"),
        ("/api/sessions", {"context": "docs", "model": ""}, "model"),
        ("/api/sessions", {"context": "docs", "owner": "me"}, "owner"),
        ("/api/sessions/{session}/warm", {"trigger": "hover"}, "trigger"),
        ("/api/sessions/{session}/warm", {"wait": "yes"}, "wait"),
        ("/api/sessions/{session}/warm", {"wait": 1}, "wait"),
        ("/api/sessions/{session}/warm", {"force": True}, "force"),
        ("/api/sessions/{session}/fork", {}, "after_turn"),
        ("/api/sessions/{session}/fork", {"after_turn": -1}, "after_turn"),
        ("/api/sessions/{session}/fork", {"after_turn": 0, "isolation": "none"}, "isolation"),
        ("/api/sessions/{session}/fork", {"after_turn": True}, "after_turn"),
        ("/api/sessions/{session}/fork", {"after_turn": "1"}, "after_turn"),
        ("/api/sessions/{session}/fork", {"after_turn": 1}, "after_turn"),
        ("/api/sessions/{session}/fork", {"after_turn": 10**30}, "after_turn"),
    ],
)
def test_a_bad_field_is_named(client: Client, path: str, body: dict[str, Any], field: str) -> None:
    client.add_context()
    session = client.start()["session"]
    assert_names(client.http.post(path.format(session=session), json=body), field)


def test_what_is_wrong_with_a_field_is_said_in_words_of_json(client: Client) -> None:
    client.add_context()
    session = client.start()["session"]
    turn = client.ask(session, "Good?")[0].data["turn"]
    for method, path, body, field, said in (
        ("PATCH", f"/api/sessions/{session}", {"title": " \n"}, "title", "needs a visible character"),
        ("POST", "/api/sessions", {"context": "docs", "model": "a\n"}, "model", "must have no control characters"),
        ("PUT", f"/api/turns/{turn}/rating", {"rating": "meh"}, "rating", "Input should be 'good', 'bad' or null"),
    ):
        assert assert_names(client.http.request(method, path, json=body), field) == said


def with_a_json_body(client: Client) -> list[tuple[str, str]]:
    """Every route that takes one, by its method."""
    client.add_context()
    session = client.start()["session"]
    turn = client.ask(session, "Anything?")[0].data["turn"]
    return [
        (method, path.format(session=session, turn=turn))
        for path, methods in client.http.get("/openapi.json").json()["paths"].items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "json", "", None])
def test_json_that_is_not_said_to_be_some_is_told_so(client: Client, kind: str | None) -> None:
    routes = with_a_json_body(client)
    assert len(routes) == 8
    for method, path in routes:
        headers = {} if kind is None else {"content-type": kind}
        said = assert_names(client.http.request(method, path, content=b"{}", headers=headers), "content-type")
        assert said.startswith("send application/json")


@pytest.mark.parametrize("body", [b"null", b"[]", b"5", b'"question"', b"true", b""])
def test_a_body_that_is_no_object_is_told_so(client: Client, body: bytes) -> None:
    for method, path in with_a_json_body(client):
        if path.endswith("/warm") and body in (b"", b"null"):
            continue
        answer = client.http.request(method, path, content=body, headers=JSON)
        assert assert_names(answer, "") == "the body must be a JSON object"


def test_a_warm_needs_no_body(client: Client) -> None:
    client.add_context()
    response = client.http.post(f"/api/sessions/{client.start()['session']}/warm")
    assert response.status_code == 202
    warm = response.json()["warm"]
    assert set(warm) >= {
        *("state", "reason", "started_at", "expires_at", "tokens_read", "tokens_written", "cost_usd", "shared"),
        "message_id",
    }


# Whatever is said

# Lone surrogates among them: JSON can say them, and no UTF-8 can.
any_text = st.text(st.characters(exclude_categories=()), max_size=20)
any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)
fields_of = {
    "/api/contexts": ["name", "documents", "instructions", "model", "max_tokens", "thinking", "effort", "ttl"],
    "/api/sessions": ["context", "model", "isolation"],
    "/api/sessions/{session}/warm": ["trigger", "wait"],
    "/api/sessions/{session}/ask": ["question"],
    "/api/sessions/{session}/fork": ["after_turn", "isolation"],
    "/api/sift": ["paths", "gitignores"],
}


@settings(max_examples=150)
@given(path=st.sampled_from(sorted(fields_of)), data=st.data())
def test_no_json_whatever_it_says_is_answered_with_a_bug(client: Client, path: str, data: st.DataObject) -> None:
    client.add_context()
    session = client.start()["session"]
    shaped = st.dictionaries(st.sampled_from(fields_of[path]), any_json, max_size=4)
    body = json.dumps(data.draw(shaped | any_json)).encode()
    response = client.http.post(path.format(session=session), content=body, headers=JSON)
    assert response.status_code < 500
    if response.status_code >= 400:
        assert_problem(response, response.status_code)


@settings(max_examples=60)
@given(body=st.binary(max_size=60), path=st.sampled_from(sorted(fields_of)))
def test_no_bytes_whatever_they_are_are_answered_with_a_bug(client: Client, path: str, body: bytes) -> None:
    response = client.http.post(path.format(session=NOBODYS_SESSION), content=body, headers=JSON)
    assert response.status_code in (404, 422)
    assert_problem(response, response.status_code)


def test_every_answer_forbids_what_a_page_does_not_need(client: Client) -> None:
    for path in ("/", "/api/contexts", "/dashboard", "/docs", "/static/css/base.css", "/nothing"):
        headers = client.http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert ("'self'" in headers["content-security-policy"]) == headers["content-type"].startswith("text/html")
        assert headers["x-content-type-options"] == "nosniff"


def test_a_person_who_goes_astray_gets_a_page_and_a_program_gets_a_problem(client: Client) -> None:
    page = client.http.get("/nothing", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (404, "text/html")
    assert_problem(client.http.get("/api/nothing", headers={"accept": "text/html"}), 404)


def test_health_is_told_without_a_cookie(client: Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
        response = client.http.get(path)
        assert response.status_code == 200
        assert "set-cookie" not in response.headers


def test_what_texts_say_comes_back_escaped_in_no_page(client: Client) -> None:
    client.add_context("<script>alert(1)</script>")
    page = client.http.get("/").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
