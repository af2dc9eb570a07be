"""What the response says, before it is put on the wire: a thought, text in pieces with their citations or a call of a
forced tool, why it stopped and what it cost. Pure: the same request and passages give the same reply."""

import json
from dataclasses import dataclass, replace
from typing import Any

from app.sandbox import pdf, signature, tokens
from app.sandbox.answer import LEAD, NOTHING, Passage
from app.sandbox.blocks import Prompt
from app.sandbox.models import Model
from app.sandbox.profile import Profile
from app.sandbox.request import Body
from app.sandbox.settings import cites, thinks
from app.sandbox.toolcall import ToolCall, forced_call, minimal


@dataclass(frozen=True)
class Thought:
    """`text` as shown (empty when omitted); `size` is what was really thought, and billed."""

    text: str
    signature: str
    size: int


@dataclass(frozen=True)
class Piece:
    """A text block of the response. What is cited does not count as output, what is written does."""

    text: str
    size: int
    citation: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reply:
    thought: Thought | None
    pieces: list[Piece]
    stop_reason: str
    stop_sequence: str | None = None
    call: ToolCall | None = None

    @property
    def thinking_tokens(self) -> int:
        return self.thought.size if self.thought else 0

    @property
    def output_tokens(self) -> int:
        call = self.call.size if self.call else 0
        return self.thinking_tokens + call + sum(piece.size for piece in self.pieces)

    def content(self) -> list[dict[str, Any]]:
        """The message's content blocks."""
        content: list[dict[str, Any]] = []
        if self.thought:
            content.append({"type": "thinking", "thinking": self.thought.text, "signature": self.thought.signature})
        for piece in self.pieces:
            block: dict[str, Any] = {"type": "text", "text": piece.text}
            content.append({**block, "citations": [piece.citation]} if piece.citation else block)
        if self.call:
            content.append(self.call.block())
        return content


EMPTY = Reply(None, [], "max_tokens")


def compose(body: Body, prompt: Prompt, passages: list[Passage], profile: Profile) -> Reply:
    budget = body["max_tokens"]
    thought = _thought(body, prompt, passages, min(profile.thinking_tokens, budget))
    if thought:
        budget -= thought.size
    call = forced_call(body, prompt)
    if call is not None:
        if call.size > budget:
            return Reply(thought, [], "max_tokens")
        return Reply(thought, [], "tool_use", call=call)
    wanted = body.get("output_config", {}).get("format")
    if wanted:
        pieces = [_sized(json.dumps(minimal(wanted["schema"]), ensure_ascii=False), prompt.model)]
    else:
        pieces = _pieces(passages, profile, prompt.model, cited=cites(body))
    pieces, sequence = _stopped(pieces, body.get("stop_sequences", []), prompt.model)
    if sum(piece.size for piece in pieces) > budget:
        return Reply(thought, _cut(pieces, budget, prompt.model), "max_tokens")
    return Reply(thought, pieces, "stop_sequence" if sequence else "end_turn", sequence)


def _thought(body: Body, prompt: Prompt, passages: list[Passage], size: int) -> Thought | None:
    if not thinks(body, prompt.model) or not size:
        return None
    names = ", ".join(dict.fromkeys(passage.source.title for passage in passages))
    thought = (
        f"The words of the question occur most in {names}. I will quote the passages that rank highest, with their "
        "lines, and add nothing of my own."
        if passages
        else "No passage of the given text shares a telling word with the question. I will say so."
    )
    display = body.get("thinking", {}).get("display") or ("omitted" if prompt.model.omits else "summarized")
    shown = display == "summarized"
    seal = signature.sign(thought, shown=shown, binding=prompt.binding)
    return Thought(thought if shown else "", seal, size)


def _pieces(passages: list[Passage], profile: Profile, model: Model, *, cited: bool) -> list[Piece]:
    """One piece of text, or several of which the quotes carry their citations."""
    if not passages:
        return [_sized(NOTHING, model)]
    texts: list[tuple[str, dict[str, Any] | None]] = [(LEAD, None)]
    room = profile.answer_tokens * model.token_factor - tokens.of_text(LEAD, model.token_factor)
    left_out: list[str] = []
    for n, passage in enumerate(passages):
        quote = passage.text.rstrip()
        before, after = _frame(passage, quote)
        size = tokens.of_text(before + quote + after, model.token_factor)
        if n and size > room:
            left_out.append(_place(passage))
            continue
        room -= size
        texts += [(before, None), (quote, _citation(passage, quote)), (after, None)]
    if left_out:
        texts.append((f"See also {'; '.join(left_out)}.\n", None))
    if not cited:
        return [_sized("".join(text for text, _ in texts), model)]
    merged: list[tuple[str, dict[str, Any] | None]] = []
    for text, citation in texts:
        if citation is None and merged and merged[-1][1] is None:
            text = merged.pop()[0] + text
        merged.append((text, citation))
    return [_sized(text, model, citation) for text, citation in merged]


def _frame(passage: Passage, quote: str) -> tuple[str, str]:
    """What stands around a quote in Markdown: its place, and a fence longer than any in it."""
    fence = "```"
    while fence in quote:
        fence += "`"
    title = passage.source.title
    language = "python" if title.endswith(".py") else ""
    return f"{_place(passage)}\n\n{fence}{language}\n", f"\n{fence}\n\n"


def _place(passage: Passage) -> str:
    first, last = passage.first_line, passage.last_line
    return f"{_as_code(passage.source.title)}, " + (f"line {first}" if first == last else f"lines {first}–{last}")


def _as_code(title: str) -> str:
    """`title` in Markdown, where `__init__.py` would be a bold *init* and a dot."""
    ticks = "`"
    while ticks in title:
        ticks += "`"
    pad = " " if len(ticks) > 1 else ""
    return f"{ticks}{pad}{title}{pad}{ticks}"


def _citation(passage: Passage, quote: str) -> dict[str, Any] | None:
    source = passage.source
    if source.origin is None:
        return None
    if source.part is None:
        place = {"start_char_index": passage.start, "end_char_index": passage.start + len(quote)}
        named = {"document_index": source.number, "document_title": source.origin.get("title")}
        return {"type": "char_location", "cited_text": quote, **named, **place}
    if pdf.is_pdf(source.origin):
        pages = {"start_page_number": source.part + 1, "end_page_number": source.part + 2}
        named = {"document_index": source.number, "document_title": source.origin.get("title")}
        return {"type": "page_location", "cited_text": quote, **named, **pages}
    place = {"start_block_index": source.part, "end_block_index": source.part + 1}
    if source.origin["type"] == "document":
        named = {"document_index": source.number, "document_title": source.origin.get("title")}
        return {"type": "content_block_location", "cited_text": source.text, **named, **place}
    named = {"search_result_index": source.number, "source": source.origin["source"], "title": source.title}
    return {"type": "search_result_location", "cited_text": source.text, **named, **place}


def _stopped(pieces: list[Piece], sequences: list[str], model: Model) -> tuple[list[Piece], str | None]:
    """The pieces up to the first stop sequence, wherever a piece ends."""
    text = "".join(piece.text for piece in pieces)
    found = [(text.find(sequence), sequence) for sequence in sequences if sequence in text]
    if not found:
        return pieces, None
    left, sequence = min(found)
    kept = []
    for piece in pieces:
        if left <= 0:
            break
        kept.append(piece if len(piece.text) <= left else _sized(piece.text[:left], model))
        left -= len(piece.text)
    return kept, sequence


def _cut(pieces: list[Piece], budget: int, model: Model) -> list[Piece]:
    """The pieces that fit, the last one cut so that the budget is used up exactly."""
    kept = []
    for piece in pieces:
        if budget <= 0:
            break
        if piece.size > budget:
            size = int(budget * tokens.BYTES_PER_TOKEN / model.token_factor)
            piece = Piece(piece.text.encode()[:size].decode(errors="ignore"), budget)
        kept.append(piece)
        budget -= piece.size
    if budget and kept:
        kept[-1] = replace(kept[-1], size=kept[-1].size + budget)
    return kept


def _sized(text: str, model: Model, citation: dict[str, Any] | None = None) -> Piece:
    return Piece(text, tokens.of_text(text, model.token_factor), citation)
