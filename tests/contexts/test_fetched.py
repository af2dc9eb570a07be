"""What becomes of a fetched answer: text as it is, a web page as a reader would read it, a PDF as a PDF."""

import asyncio

import pytest

from app.prompt.context import Document, Pdf
from tests.contexts.sites import fetched, open_fetcher, page, refusal, site
from tests.pdfs import pdf


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain", b"plain", "plain"),
        ("text/markdown; charset=UTF-8", "# ü".encode(), "# ü"),
        ("text/plain; charset=latin-1", b"caf\xe9", "café"),
        ("application/json", b'{"a": 1}', '{"a": 1}'),
        ("application/vnd.api+json", b"{}", "{}"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/javascript", b"let a", "let a"),
        ("application/yaml", b"a: 1", "a: 1"),
        ("text/x-python", b"x = 1", "x = 1"),
    ],
)
async def test_texts_are_taken_as_they_are(kind: str, body: bytes, text: str) -> None:
    document = await fetched(page(body, kind), "/a.txt")
    assert isinstance(document, Document)
    assert document.text == text
    assert document.title.endswith("/a.txt")


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("text/plain", b"caf\xe9", "is not the UTF-8 text"),
        ("text/plain; charset=klingon", b"x", "encoding that is not known"),
        ("text/plain", b"a\0b", "binary"),
        ("text/plain", b" \n", "empty"),
        ("text/html", b"<script>app()</script>", "has no text that can be read without scripts"),
        ("application/pdf", b"%PDF-1.4 nonsense", "a damaged PDF"),
    ],
)
async def test_texts_that_are_none_are_refused(kind: str, body: bytes, why: str) -> None:
    async with site(page(body, kind)) as url:
        assert why in await refusal(open_fetcher(), url)


async def test_what_says_nothing_of_its_type_is_taken_for_text() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        document = await open_fetcher().fetch(f"http://127.0.0.1:{port}/", "urls")
    assert isinstance(document, Document) and document.text == "hello"


async def test_a_pdf_is_a_pdf() -> None:
    content = pdf("One.", "Two.")
    document = await fetched(page(content, "application/pdf"), "/a.pdf")
    assert isinstance(document, Pdf)
    assert (document.content, document.pages) == (content, 2)


async def test_a_web_page_is_read_as_a_reader_would() -> None:
    html = """<!doctype html><html><head><title>The &amp; Guide
      </title><style>p{}</style></head><body><nav><a href=/>Home</a></nav><main><h1>Hello</h1>
      <p>Some <b>bold</b>   words&nbsp;here.<br>New line.<ul><li>one<li>two</ul>
      <pre>def f():\n    return 1</pre><table><tr><th>a<th>b<tr><td>1<td>2</table><script>x()</script>
      </main><footer>imprint</footer>"""
    document = await fetched(page(html))
    assert isinstance(document, Document)
    assert document.title == "The & Guide"
    assert document.text.startswith("# Hello\n\nSome bold words here.\nNew line.\n\n- one\n- two\n\n```\ndef f():")
    for left_out in ("Home", "imprint", "x()", "p{}"):
        assert left_out not in document.text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<p>caf\xe9", "café\n"),
        (b"<meta charset=iso-8859-2><p>\xb1", "ą\n"),
        ("<p>ü".encode(), "ü\n"),
        (b"<p>a<svg><title>no</title></svg>b", "ab\n"),
        (b"no markup at all", "no markup at all\n"),
    ],
)
async def test_web_pages_come_in_every_shape(body: bytes, text: str) -> None:
    document = await fetched(page(body, "text/html"))
    assert isinstance(document, Document)
    assert document.text == text
