"""POST /api/contexts with everything that can be a document, over HTTP and down to the upstream's bytes."""

import base64
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import httpx2
import pytest

from app.contexts.fetching import Fetcher
from tests.client import Client
from tests.pdfs import locked_pdf, pdf
from tests.recorder import Recorder
from tests.running import RedisProcess, serving


def upload(client: Client, *files: tuple[str, bytes], **fields: Any) -> httpx2.Response:
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    return client.http.post("/api/contexts", data={"name": "uploaded", **fields}, files=parts)


def added(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def refused(response: httpx2.Response, field: str) -> str:
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    assert error["field"] == field
    return str(error["message"])


def test_what_was_left_out_is_said_with_its_reason(client: Client) -> None:
    files = [("docs/a.md", b"fine"), ("docs/b.png", b"\0"), ("docs/.gitignore", b"*.log"), ("docs/x.log", b"x")]
    body = added(upload(client, *files))
    assert [one["title"] for one in body["titles"]] == ["docs/.gitignore", "docs/a.md"]
    assert body["skipped"] == [{"name": "docs/b.png", "reason": "binary"}]
    assert body["ignored"] == 1


def test_a_zip_is_a_folder(client: Client) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("manual/one.txt", "one")
        archive.writestr("../../two.txt", "two")
    body = added(upload(client, ("manual.zip", packed.getvalue())))
    assert [one["title"] for one in body["titles"]] == ["manual/one.txt", "manual/two.txt"]


def test_a_pdf_reaches_the_upstream_byte_for_byte_in_warm_and_question(client: Client, upstream: Recorder) -> None:
    content = pdf("The keeper counts ships.", "He counts seven.")
    body = added(upload(client, ("log.pdf", content), ("a.txt", b"alpha")))
    assert (body["pages"], body["tokens"], body["bytes"]) == (2, None, len(content) + 5)
    session = client.start(body["context"])["session"]
    client.warm(session, wait=True)
    client.ask(session, "How many?")
    expected = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(content).decode()}
    warm, ask = [json.loads(exchange.body) for exchange in upstream.exchanges]
    for request in (warm, ask):
        document = request["messages"][0]["content"][0]
        assert document == {"type": "document", "source": expected, "title": "log.pdf"}
    assert (warm["max_tokens"], ask["stream"]) == (0, True)


def test_a_pdf_is_not_taken_for_as_much_text_as_it_is_encoded(redis: RedisProcess, upstream: Recorder) -> None:
    """A page full of pictures is a few thousand tokens, whatever its size: no budget refuses to warm it."""
    large = pdf("One page.") + b"%" + b"x" * 700_000
    with (
        serving(redis.url, upstream.url, limits="on", warm_usd_per_hour=0.3) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        client = Client(http)
        session = client.start(added(upload(client, ("large.pdf", large)))["context"])["session"]
        assert client.warm(session, wait=True)["state"] == "warm"


def test_what_no_request_takes_is_refused_with_both_numbers(client: Client) -> None:
    long = pdf(*(f"Page {n}" for n in range(101)))
    assert "101 pages" in refused(upload(client, ("a.pdf", long), model="claude-haiku-4-5"), "documents")
    context = added(upload(client, ("a.pdf", long)))["context"]
    other = {"context": context, "model": "claude-haiku-4-5"}
    assert "101 pages" in refused(client.http.post("/api/sessions", json=other), "model")
    assert "encrypted" in refused(upload(client, ("a.pdf", locked_pdf("x"))), "files")


def test_when_nothing_is_left_the_answer_says_why_of_each(client: Client) -> None:
    files = [(f"docs/{n}.png", b"\0") for n in range(5)]
    said = refused(upload(client, *files), "files")
    assert "“docs/0.png” is left out (binary)" in said
    assert "and 2 more are left out" in said


def test_a_folder_is_sifted_before_it_is_sent(client: Client) -> None:
    paths = ["docs/a.txt", "docs/a.log", "docs/.env", "docs/.git/config", "docs/deep/b.txt"]
    body = {"paths": paths, "gitignores": {"docs/.gitignore": "*.log\n"}}
    answer = client.http.post("/api/sift", json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "taken": ["docs/a.txt", "docs/deep/b.txt"],
        "skipped": [{"name": "docs/.env", "reason": "may hold secrets; name the file itself to add it"}],
        "ignored": 1,
    }


def test_a_folder_with_names_and_rules_that_have_no_utf_8_is_sifted_like_any_other(client: Client) -> None:
    body = b'{"paths": ["docs/a.txt", "docs/\\ud800.txt"], "gitignores": {"docs/.gitignore": "\\udc80*\\n", "\\ud800": ""}}'
    answer = client.http.post("/api/sift", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["taken"] == ["docs/a.txt"]
    assert answer.json()["skipped"] == [{"name": "docs/\\ud800.txt", "reason": "its name is not UTF-8"}]


@contextmanager
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/guide" else 404)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>The Guide</title><h1>Hello</h1>")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(30)


@pytest.fixture
def reader(redis: RedisProcess, upstream: Recorder) -> Iterator[Client]:
    """A client of a server that may fetch from this machine."""
    near = Fetcher(permit=lambda address: address.is_loopback, ports=range(65536))
    with serving(redis.url, upstream.url, fetcher=near) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


def test_urls_and_texts_become_documents_in_the_order_they_were_given(reader: Client) -> None:
    with site() as url:
        documents = [{"title": "a", "text": "A"}, {"url": f"{url}/guide"}, {"title": "c", "text": "C"}]
        body = added(reader.http.post("/api/contexts", json={"name": "mixed", "documents": documents}))
        assert [one["title"] for one in body["titles"]] == ["a", "The Guide", "c"]
        form = added(upload(reader, ("z.txt", b"z"), urls=[f"{url}/guide", f"{url}/guide"]))
        assert [one["title"] for one in form["titles"]] == ["z.txt", "The Guide", "The Guide"]
        missing = {"name": "mixed", "documents": [{"title": "a", "text": "A"}, {"url": f"{url}/none"}]}
        assert "status 404" in refused(reader.http.post("/api/contexts", json=missing), "documents.1.url")


def test_a_server_in_service_fetches_nothing_from_its_own_network(client: Client) -> None:
    with site() as url:
        for given in (f"{url}/guide", "http://localhost/", "http://169.254.169.254/latest/meta-data/"):
            body = {"name": "x", "documents": [{"url": given}]}
            refused(client.http.post("/api/contexts", json=body), "documents.0.url")


@pytest.mark.parametrize(
    ("documents", "field"),
    [
        ([{"url": ""}], "documents.0.url"),
        ([{"url": "http://a.example/" + "x" * 2000}], "documents.0.url"),
        ([{"url": "http://a.example/", "text": "x"}], "documents.0"),
        ([{"title": "x"}], "documents.0.text"),
        ([{"url": 7}], "documents.0.url"),
    ],
)
def test_a_document_is_a_text_or_a_url(client: Client, documents: list[dict[str, Any]], field: str) -> None:
    refused(client.http.post("/api/contexts", json={"name": "x", "documents": documents}), field)


def test_so_many_urls_are_fetched_and_no_more(client: Client) -> None:
    documents = [{"url": "http://a.example/"}] * 21
    said = refused(client.http.post("/api/contexts", json={"name": "x", "documents": documents}), "documents.20.url")
    assert "at most 20" in said


def test_fetching_can_be_turned_off(redis: RedisProcess, upstream: Recorder) -> None:
    with (
        serving(redis.url, upstream.url, fetch_urls="off") as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        body = {"name": "x", "documents": [{"url": "http://a.example/"}]}
        assert "fetches no URLs" in refused(http.post("/api/contexts", json=body), "documents.0.url")
        assert "fetches no URLs" in refused(upload(Client(http), ("a.txt", b"a"), urls="http://a.example/"), "urls")
