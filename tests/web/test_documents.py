"""A context's documents, read by whoever may ask it: from their beginning or at some lines, as much as is given at once."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.contexts.passages import READING_CHARS
from app.web.context_answers import Reading
from tests.client import Client
from tests.pdfs import pdf

LONG = "".join(f"Line {n}.\n" for n in range(1, 250_000))


@pytest.fixture
def stranger(server: str) -> Iterator[Client]:
    with httpx2.Client(base_url=server, timeout=30) as http:
        yield Client(http)


def read(client: Client, context: str, number: Any = 0, **lines: Any) -> httpx2.Response:
    return client.http.get(f"/api/contexts/{context}/documents/{number}", params=lines)


def whole(found: dict[str, Any]) -> str:
    return str(found["before"] + found["passage"] + found["after"])


@pytest.mark.parametrize("citations", [False, True])
def test_a_document_is_read_from_its_beginning_or_at_some_lines(client: Client, citations: bool) -> None:
    documents = [{"title": "a.md", "text": "Eins.\n"}, {"title": "b.md", "text": "Zwei.\nDrei.\nVier.\n"}]
    context = client.add_context(documents=documents, citations=citations)["context"]
    found = read(client, context, 1).json()
    Reading.model_validate(found, extra="forbid")
    assert (found["title"], whole(found), found["bytes"]) == ("b.md", "Zwei.\nDrei.\nVier.\n", 18)
    assert (found["passage"], found["from_char"], found["chars"]) == ("", 0, 18)
    some = read(client, context, 1, first_line=2, last_line=3).json()
    assert (some["passage"], some["first_line"], some["last_line"]) == ("Drei.\nVier.\n", 2, 3)
    assert read(client, context, 1, first_line=2).json()["passage"] == "Drei.\n"
    assert read(client, context, 1, first_line=99).json()["passage"] == ""


def test_of_a_long_one_as_much_is_given_as_a_page_bears(client: Client) -> None:
    context = client.add_context(documents=[{"title": "long.log", "text": LONG}])["context"]
    for line in (0, 200_000):
        found = read(client, context, first_line=line).json()
        assert found["chars"] == len(LONG) > 3_000_000
        assert READING_CHARS - 100 < len(whole(found)) <= READING_CHARS
        assert LONG.startswith(whole(found), found["from_char"])
    assert found["passage"] == "Line 200000.\n"


def test_of_a_pdf_there_is_its_title_and_its_size(client: Client) -> None:
    file = pdf("Page 1.")
    added = client.http.post("/api/contexts", data={"name": "p"}, files=[("files", ("a.pdf", file, "application/pdf"))])
    found = read(client, added.json()["context"], first_line=3).json()
    assert (found["title"], found["bytes"], found["chars"], whole(found)) == ("a.pdf", len(file), 0, "")


def test_nobody_else_reads_it_unless_it_is_open_to_everyone(client: Client, stranger: Client) -> None:
    context = client.add_context()["context"]
    assert read(client, context).status_code == 200
    refused = read(stranger, context)
    assert (refused.status_code, refused.json()["code"]) == (404, "context_not_found")
    assert read(stranger, "asyncio").json()["title"].startswith("asyncio/")


@pytest.mark.parametrize(
    ("number", "lines", "status", "code"),
    [
        (1, {}, 404, "document_not_found"),
        (-1, {}, 422, "invalid_request"),
        ("x", {}, 422, "invalid_request"),
        (0, {"first_line": -1}, 422, "invalid_request"),
        (0, {"last_line": 1 << 40}, 422, "invalid_request"),
    ],
)
def test_what_is_not_there_is_a_problem(
    client: Client, number: Any, lines: dict[str, Any], status: int, code: str
) -> None:
    response = read(client, client.add_context()["context"], number, **lines)
    assert (response.status_code, response.json()["code"]) == (status, code)
