"""PDFs: platform docs, PDF support. Pages are counted and limited, locked files refused, and quotes come with their page."""

import base64
from typing import Any

import pytest

from app.sandbox import tokens
from app.sandbox.testing import SandboxServer
from tests.pdfs import locked_pdf, pdf
from tests.sandbox.prompts import MARK, Block, user


def file(content: bytes, **more: Any) -> Block:
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(content).decode()}
    return {"type": "document", "title": "log.pdf", "source": source, **more}


def ask(sandbox: SandboxServer, *blocks: Block | str, model: str = "claude-opus-4-5", **more: Any) -> Any:
    return sandbox.post({"model": model, "max_tokens": 300, "messages": [user(*blocks)], **more})


def test_a_pdf_counts_by_the_page(sandbox: SandboxServer) -> None:
    sizes = []
    for pages in (1, 2, 5):
        content = pdf(*(f"Page {n}." for n in range(pages)))
        body = {"model": "claude-opus-4-5", "messages": [user(file(content), "?")]}
        sizes.append(sandbox.post(body, "/v1/messages/count_tokens").json()["input_tokens"])
    assert [size - sizes[0] for size in sizes] == [0, tokens.PAGE_TOKENS, 4 * tokens.PAGE_TOKENS]


def test_a_warm_writes_a_pdf_and_a_question_reads_it(sandbox: SandboxServer) -> None:
    marked = file(pdf("The keeper counts ships.", "There were seven.", "Fog."), cache_control=MARK)
    warm = sandbox.post({"model": "claude-opus-4-5", "max_tokens": 0, "messages": [user(marked)]}).json()["usage"]
    usage = ask(sandbox, marked, "How many?").json()["usage"]
    assert warm["cache_creation_input_tokens"] == usage["cache_read_input_tokens"] == 3 * tokens.PAGE_TOKENS


def test_another_byte_is_another_pdf(sandbox: SandboxServer) -> None:
    for content in (pdf("One.", "Two.", "Three."), pdf("One.", "Two.", "Four.")):
        usage = ask(sandbox, file(content, cache_control=MARK), "How many?").json()["usage"]
        assert usage["cache_read_input_tokens"] == 0


def test_an_answer_quotes_a_pdf_with_its_page(sandbox: SandboxServer) -> None:
    answer = ask(
        sandbox, file(pdf("Fog all day.", "The keeper counts seven ships.")), "Which ships does the keeper count?"
    )
    text = answer.json()["content"][0]["text"]
    assert "`log.pdf, page 2`" in text
    assert "The keeper counts seven ships." in text


def test_citations_of_a_pdf_are_page_locations(sandbox: SandboxServer) -> None:
    cited = file(pdf("Fog all day.", "The keeper counts seven ships."), citations={"enabled": True})
    blocks = ask(sandbox, cited, "Which ships does the keeper count?").json()["content"]
    (citation,) = [one for block in blocks for one in block.get("citations") or []]
    assert (citation["type"], citation["start_page_number"], citation["end_page_number"]) == ("page_location", 2, 3)
    assert citation["document_title"] == "log.pdf"


@pytest.mark.parametrize(("model", "most"), [("claude-opus-4-5", 100), ("claude-sonnet-5-5", 600)])
def test_a_request_takes_so_many_pages_over_all_its_pdfs(sandbox: SandboxServer, model: str, most: int) -> None:
    half = pdf(*["."] * (most // 2))
    body = {"model": model, "messages": [user(file(half), file(half), "?")]}
    assert sandbox.post(body, "/v1/messages/count_tokens").status_code == 200
    refused = ask(sandbox, file(half), file(half), file(pdf(".")), "?", model=model)
    assert refused.status_code == 400
    assert f"A maximum of {most} PDF pages may be provided." in refused.json()["error"]["message"]
    assert refused.json()["error"]["message"].startswith("messages.0.content.2.pdf.source.base64.data")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not valid"),
        (b"%PDF-1.4 nonsense", "not valid"),
        (b"plain text", "not valid"),
        (pdf(), "not valid"),
        (locked_pdf("x"), "password protected"),
    ],
)
def test_what_is_no_readable_pdf_is_refused(sandbox: SandboxServer, content: bytes, why: str) -> None:
    refused = ask(sandbox, file(content), "?")
    assert refused.status_code == 400
    assert why in refused.json()["error"]["message"]


def test_what_is_no_base64_is_refused(sandbox: SandboxServer) -> None:
    broken = file(b"")
    broken["source"]["data"] = "no base64 !"
    assert ask(sandbox, broken, "?").status_code == 400
