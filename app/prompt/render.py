"""Values to wire bytes: the pieces from which a prefix and its tails are put together.

Each piece is rendered once and stored; afterwards pieces are only joined, never parsed. What is rendered for one context
is shared by all its sessions, because the parts that differ between sessions (model, isolation) come in pieces of their
own before it. Blocks are rendered without their breakpoints: `prefix.py` splices those in.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.prompt.context import AnyDocument, Context, Document, Parameters, Pdf, pages

UNSEEN = ("thinking", "redacted_thinking")

Diagnostics = Mapping[str, str | None]

# In a string there is no quote without a backslash: where these bytes stand, a block begins.
_BLOCK = b'{"type":"document","source":'
_TEXT = _BLOCK + b'{"type":"text",'

WARMUP_MESSAGE = b']},{"role":"user","content":"warmup"}'


@dataclass(frozen=True, slots=True)
class Fragments:
    """A context's stored bytes: `system` is its instructions' block or empty, `documents` its document blocks, the
    last one without its closing brace, so that a breakpoint can follow; `blocks` counts all of them. Of the documents,
    `pdf_bytes` are PDFs as they are encoded, with `pages` in all: what they come to in tokens does not go by their size."""

    system: bytes
    documents: bytes
    blocks: int
    pdf_bytes: int = 0
    pages: int = 0


def dump(value: Any) -> bytes:
    """The one way a value becomes JSON on the wire: UTF-8, no spaces, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def render_fragments(context: Context) -> Fragments:
    """Render what every session over `context` shares."""
    system = b"" if context.instructions is None else text_block(context.instructions)
    cited = context.parameters.citations
    documents = b",".join(document_block(document, cited=cited) for document in context.documents)
    blocks = len(context.documents) + (1 if system else 0)
    pdf_bytes = sum(-(-document.size // 3) * 4 for document in context.documents if isinstance(document, Pdf))
    return Fragments(system, documents[:-1], blocks, pdf_bytes, pages(context.documents))


def render_opening(parameters: Parameters, fragments: Fragments, isolation: str | None) -> tuple[bytes, ...]:
    """Everything up to the end of the last document, its block still open, in pieces: the documents are not copied.

    `isolation`, when given, becomes a first block that no other session has, so that no cache entry is shared.
    """
    isolated = text_block(f"Session {isolation}.") if isolation else b""
    blocks = b",".join(block for block in (isolated, fragments.system) if block)
    system = b',"system":[' + blocks + b"]" if blocks else b""
    return render_head(parameters) + system + b',"messages":[{"role":"user","content":[', fragments.documents


def render_head(parameters: Parameters) -> bytes:
    """The request's opening brace, model, thinking and effort: what must be the same for a cache entry to be found."""
    head: dict[str, Any] = {"model": parameters.model}
    if parameters.thinking == "adaptive":
        head["thinking"] = {"type": "adaptive", "display": "summarized"}
    elif parameters.thinking is not None:
        head["thinking"] = {"type": parameters.thinking}
    if parameters.effort is not None:
        head["output_config"] = {"effort": parameters.effort}
    return dump(head)[:-1]


def text_block(text: str) -> bytes:
    return dump({"type": "text", "text": text})


def document_block(document: AnyDocument, *, cited: bool) -> bytes:
    if isinstance(document, Document):
        source = {"type": "text", "media_type": "text/plain", "data": document.text}
    else:
        data = base64.b64encode(document.content).decode()
        source = {"type": "base64", "media_type": "application/pdf", "data": data}
    citations = {"citations": {"enabled": True}} if cited else {}
    return dump({"type": "document", "source": source, "title": document.title, **citations})


def read_document(documents: bytes, number: int) -> Document | None:
    """The text of that `number`, from 0, in a context's rendered `documents`; None when there is none, or it is a PDF.
    The others are not parsed."""
    start = 0
    for _ in range(number):
        start = documents.find(b"," + _BLOCK, start) + 1
        if not start:
            return None
    if not documents.startswith(_TEXT, start):
        return None
    end = documents.find(b"," + _BLOCK, start)
    block = json.loads(documents[start:] + b"}" if end < 0 else documents[start:end])
    return Document(block["title"], block["source"]["data"])


def question_bytes(question: str, *, first: bool) -> bytes:
    """A question as it continues a prefix: in the documents' own message for the first turn, else in one of its own."""
    return b"," + text_block(question) if first else b']},{"role":"user","content":[' + text_block(question)


def warm_tail(*, first: bool, max_tokens: int = 0) -> bytes:
    """What makes a prefix a request that only writes the cache. `max_tokens` is 1 for upstreams that refuse 0."""
    return (b"]}" if first else WARMUP_MESSAGE) + b'],"max_tokens":%d}' % max_tokens


def ask_tail(question: str, *, first: bool, max_tokens: int, diagnostics: Diagnostics | None = None) -> bytes:
    """What makes a prefix a streamed request for an answer to `question`; `diagnostics` asks the API to compare it with
    an earlier one."""
    asked = b',"diagnostics":' + dump(diagnostics) if diagnostics else b""
    return question_bytes(question, first=first) + b']}],"max_tokens":%d,"stream":true%b}' % (max_tokens, asked)


def answer_blocks(blocks: Iterable[dict[str, Any]]) -> list[bytes]:
    """An answer's content blocks as they go back to the API: verbatim, thinking with its signature.

    Left out is what the API sends but refuses to take back: text blocks that stayed empty or blank, `citations` that is
    null, the `file_id` of a citation, and thinking after the last other block, as when an answer was cut off while the
    model thought again.
    """
    kept: list[dict[str, Any]] = []
    for block in blocks:
        if block.get("type") != "text":
            kept.append(block)
        elif block.get("text", "").strip():
            kept.append({key: value for key, value in block.items() if key != "citations"} | _citations(block))
    while kept and kept[-1].get("type") in UNSEEN:
        kept.pop()
    if all(
        block.get("type") in UNSEEN or (block.get("type") == "text" and not block["text"].strip()) for block in kept
    ):
        return []
    return [dump(block) for block in kept]


def _citations(block: dict[str, Any]) -> dict[str, Any]:
    """A text block's citations in the shape in which the API takes them, if it has any."""
    if block.get("citations") is None:
        return {}
    cited = [
        {key: value for key, value in citation.items() if key != "file_id"} if isinstance(citation, dict) else citation
        for citation in block["citations"]
    ]
    return {"citations": cited}
