"""The HTTP contract: what is refused and how it is said, who owns what, and that nothing leaks."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Client
from tests.recorder import Recorder, recording
from tests.running import RedisProcess, serving

MEMBERS = {"type": str, "title": str, "status": int, "detail": str, "code": str, "retryable": bool}
NOBODYS_SESSION = "s_" + "0" * 32
NOBODYS_TURN = "t_" + "0" * 64
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def url(redis_process: RedisProcess, shared_upstream: Recorder) -> Iterator[str]:
    """One server for all: what these tests do, they do as owners of their own."""
    assert redis_process.say(b"FLUSHALL") == b"+OK\r\n"
    with serving(redis_process.url, shared_upstream.url, max_question_chars=1000) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


@pytest.fixture
def stranger(url: str) -> Iterator[Client]:
    with httpx2.Client(base_url=url, timeout=30) as http:
        assert http.get("/api/contexts").status_code == 200
        yield Client(http)


def assert_problem(response: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """That `response` is problem details with every member that the contract names; its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    for member, kind in MEMBERS.items():
        assert isinstance(body[member], kind), member
    assert body["status"] == status
    assert code in (None, body["code"])
    return body


def assert_names(response: httpx2.Response, field: str) -> str:
    """That `response` is a 422 for `field` alone; what it says of it."""
    body = assert_problem(response, 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]
    message: str = body["errors"][0]["message"]
    assert message
    assert message in body["detail"]
    return message


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
    assert client.http.delete("/api/contexts/mine").status_code == 204
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


def test_a_warm_needs_no_body(client: Client) -> None:
    client.add_context()
    response = client.http.post(f"/api/sessions/{client.start()['session']}/warm")
    assert response.status_code == 202
    warm = response.json()["warm"]
    assert set(warm) >= {
        *("state", "reason", "started_at", "expires_at", "tokens_read", "tokens_written", "cost_usd", "shared"),
        "message_id",
    }


# Contexts

GOOD = {"title": "a.txt", "text": "Some text."}
BAD_CONTEXTS = [
    pytest.param({"documents": []}, "documents", "", id="no documents"),
    pytest.param({"documents": [GOOD, {"title": "b", "text": ""}]}, "documents.1.text", "", id="empty document"),
    pytest.param({"documents": [{"title": "b", "text": " \n "}]}, "documents.0.text", "b", id="blank document"),
    pytest.param({"documents": [{"title": "", "text": "x"}]}, "documents.0.title", "", id="no title"),
    pytest.param({"documents": [{"title": "b"}]}, "documents.0.text", "", id="no text"),
    pytest.param({"documents": [{**GOOD, "link": "x"}]}, "documents.0.link", "", id="unknown field of a document"),
    pytest.param(
        {"documents": [GOOD, {"title": "nul.md", "text": "abc\0d"}]}, "documents.1.text", "nul.md 3", id="NUL"
    ),
    pytest.param(
        {"documents": [{"title": "sur.md", "text": "é\ud800"}]}, "documents.0.text", "sur.md 1", id="surrogate"
    ),
    pytest.param({"documents": [{"title": "a\0", "text": "x"}]}, "documents.0.title", "1", id="NUL in a title"),
    pytest.param({"documents": [{"title": "a\udfff", "text": "x"}]}, "documents.0.title", "1", id="surrogate title"),
    pytest.param({"documents": "text"}, "documents", "", id="documents are a text"),
    pytest.param({"documents": [7]}, "documents.0", "", id="a document is a number"),
    pytest.param({"documents": {"title": "x"}}, "documents", "", id="documents are an object"),
    pytest.param({"name": ""}, "name", "", id="no name"),
    pytest.param({"name": "   "}, "name", "", id="blank name"),
    pytest.param({"name": "x" * 201}, "name", "", id="long name"),
    pytest.param({"name": "a\0b"}, "name", "1", id="NUL in the name"),
    pytest.param({"name": "a\ud800"}, "name", "1", id="surrogate in the name"),
    pytest.param({"name": 5}, "name", "", id="name is a number"),
    pytest.param({"instructions": ""}, "instructions", "", id="empty instructions"),
    pytest.param({"instructions": "  "}, "instructions", "", id="blank instructions"),
    pytest.param({"instructions": "ab\0"}, "instructions", "2", id="NUL in the instructions"),
    pytest.param({"ttl": "10m"}, "ttl", "", id="bad ttl"),
    pytest.param({"ttl": None}, "ttl", "", id="null ttl"),
    pytest.param({"effort": "much"}, "effort", "", id="bad effort"),
    pytest.param({"thinking": "enabled"}, "thinking", "", id="unknown thinking"),
    pytest.param({"thinking": "disabled"}, "thinking", "claude-sonnet-5-5", id="thinking the model refuses"),
    pytest.param({"model": "claude-haiku-4-5", "effort": "low"}, "effort", "claude-haiku-4-5", id="effort it refuses"),
    pytest.param({"max_tokens": 0}, "max_tokens", "", id="max_tokens 0"),
    pytest.param({"max_tokens": 1.5}, "max_tokens", "", id="max_tokens 1.5"),
    pytest.param({"max_tokens": "100"}, "max_tokens", "", id="max_tokens a text"),
    pytest.param({"max_tokens": True}, "max_tokens", "", id="max_tokens true"),
    pytest.param({"max_tokens": 128_001}, "max_tokens", "128,001 128,000", id="more than the model writes"),
    pytest.param({"model": ""}, "model", "", id="no model"),
    pytest.param({"model": "a\0"}, "model", "1", id="NUL in the model"),
    pytest.param({"temperature": 1}, "temperature", "", id="unknown field"),
]


@pytest.mark.parametrize(("fields", "field", "says"), BAD_CONTEXTS)
def test_a_bad_context_is_refused_naming_the_field(
    client: Client, fields: dict[str, Any], field: str, says: str
) -> None:
    body = json.dumps({"name": "bad", "documents": [GOOD], **fields})
    said = assert_names(client.http.post("/api/contexts", content=body.encode(), headers=JSON), field)
    for word in says.split():
        assert word in said
    assert "bad" not in [context["name"] for context in client.http.get("/api/contexts").json()["contexts"]]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"documents":'],
    ids=lambda body: repr(body[:12]),
)
def test_a_context_that_is_no_json_object_is_refused(client: Client, body: bytes) -> None:
    assert_names(client.http.post("/api/contexts", content=body, headers=JSON), "")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
def test_a_context_of_another_content_type_is_refused(client: Client, kind: str) -> None:
    assert_names(client.http.post("/api/contexts", content=b"{}", headers={"content-type": kind}), "content-type")


def test_a_context_too_large_for_its_model_is_told_both_numbers(client: Client) -> None:
    body = {"name": "large", "model": "claude-haiku-4-5", "documents": [{"title": "a", "text": "x" * 900_000}]}
    detail = assert_problem(client.http.post("/api/contexts", json=body), 413, "context_too_large")["detail"]
    assert "200,000" in detail
    assert "225,0" in detail


def test_a_context_over_32_mb_is_told_both_numbers(client: Client) -> None:
    body = {"name": "large", "model": "unknown", "documents": [{"title": "a", "text": "x" * 32_000_100}]}
    detail = assert_problem(client.http.post("/api/contexts", json=body), 413, "context_too_large")["detail"]
    assert "32,000,1" in detail
    assert "32,000,000" in detail


def upload(client: Client, files: list[tuple[str, bytes]], **fields: str) -> httpx2.Response:
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    return client.http.post("/api/contexts", data={"name": "uploaded", **fields}, files=parts)


def test_files_become_documents_as_they_are(client: Client) -> None:
    response = upload(client, [("a.md", b"# A\r\n"), ("é/b.py", "x = 'ü'\n".encode())], ttl="1h", max_tokens="99")
    assert response.status_code == 201, response.text
    body = response.json()
    assert [(one["title"], one["bytes"]) for one in body["titles"]] == [("a.md", 5), ("é/b.py", 9)]
    assert (body["parameters"]["ttl"], body["parameters"]["max_tokens"]) == ("1h", 99)


@pytest.mark.parametrize(
    ("files", "fields", "field", "says"),
    [
        ([("image.png", b"\x89PNG\0\0")], {}, "files", "image.png"),
        ([("latin.txt", b"caf\xe9"), ("image.png", b"\0")], {}, "files", "latin.txt"),
        ([("empty.txt", b"")], {}, "files", "empty.txt"),
        ([("a.md", b"fine")], {"ttl": "2h"}, "ttl", ""),
        ([("a.md", b"fine")], {"max_tokens": "many"}, "max_tokens", ""),
        ([("a.md", b"fine")], {"colour": "red"}, "colour", ""),
        ([("a.md", b"fine")], {"name": ""}, "name", ""),
        ([("a.md", b"fine")], {"name": "a\0b"}, "name", ""),
        ([("a.md", b"fine")], {"documents": "[]"}, "documents", ""),
    ],
)
def test_a_bad_upload_is_refused_naming_the_file_or_field(
    client: Client, files: list[tuple[str, bytes]], fields: dict[str, str], field: str, says: str
) -> None:
    assert says in assert_names(upload(client, files, **fields), field)


def test_an_upload_needs_files_and_says_every_field_once(client: Client) -> None:
    none = client.http.post("/api/contexts", data={"name": "x"}, files={"ttl": (None, "5m")})
    assert_names(none, "files")
    elsewhere = client.http.post("/api/contexts", data={"name": "x"}, files={"document": ("a.md", b"x")})
    assert_names(elsewhere, "document")
    parts = [("files", ("a.md", b"x")), ("ttl", (None, b"5m")), ("ttl", (None, b"1h"))]
    assert_names(client.http.post("/api/contexts", data={"name": "x"}, files=parts), "ttl")


@pytest.mark.parametrize(
    "body", [b"", b"--x\r\n", b"--x\r\ncontent-disposition: nonsense\r\n\r\n\r\n--x--\r\n", b"\0" * 100]
)
def test_a_broken_upload_is_a_problem(client: Client, body: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert_problem(client.http.post("/api/contexts", content=body, headers=kind), 422, "invalid_request")


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
    "/api/sessions/{session}/fork": ["after_turn"],
    "/api/sift": ["paths", "gitignores"],
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
