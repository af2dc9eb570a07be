"""What is refused of contexts and uploads, naming the field or the file, and what is taken as it is."""

import json
from typing import Any

import httpx2
import pytest

from tests.client import Client
from tests.contract.problems import JSON, assert_names, assert_problem

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
    pytest.param({"documents": [7]}, "documents.0", "must be a JSON object", id="a document is a number"),
    pytest.param({"documents": [{**GOOD, "url": "x"}]}, "documents.0", "either text url both", id="text and URL"),
    pytest.param({"documents": {"title": "x"}}, "documents", "", id="documents are an object"),
    pytest.param({"name": ""}, "name", "", id="no name"),
    pytest.param({"name": "   "}, "name", "a visible character", id="blank name"),
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
