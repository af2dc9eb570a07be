"""What the response says, before it is put on the wire: a thought, text in pieces, why it stopped and what it cost.
Pure: the same request and passages give the same reply."""

from dataclasses import dataclass

from app.sandbox import signature, tokens
from app.sandbox.answer import LEAD, NOTHING, Passage
from app.sandbox.blocks import Prompt, thinks
from app.sandbox.models import Model
from app.sandbox.profile import Profile
from app.sandbox.request import Body


@dataclass(frozen=True)
class Thought:
    """`text` as shown (empty when omitted); `size` is what was really thought, and billed."""

    text: str
    signature: str
    size: int


@dataclass(frozen=True)
class Piece:
    text: str
    size: int


@dataclass(frozen=True)
class Reply:
    thought: Thought | None
    pieces: list[Piece]
    stop_reason: str
    stop_sequence: str | None

    @property
    def thinking_tokens(self) -> int:
        return self.thought.size if self.thought else 0

    @property
    def output_tokens(self) -> int:
        return self.thinking_tokens + sum(piece.size for piece in self.pieces)


EMPTY = Reply(None, [], "max_tokens", None)


def compose(body: Body, prompt: Prompt, passages: list[Passage], profile: Profile) -> Reply:
    model = prompt.model
    budget = body["max_tokens"]
    thought = _thought(body, prompt, passages, min(profile.thinking_tokens, budget))
    if thought:
        budget -= thought.size
    text, sequence = _stopped(_text(passages, profile, model), body.get("stop_sequences", []))
    size = tokens.of_text(text, model.token_factor)
    if size > budget:
        return Reply(thought, _cut(text, budget, model), "max_tokens", None)
    return Reply(thought, [Piece(text, size)] if text else [], "stop_sequence" if sequence else "end_turn", sequence)


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


def _text(passages: list[Passage], profile: Profile, model: Model) -> str:
    if not passages:
        return NOTHING
    text = LEAD
    for passage in passages:
        quote = _quote(passage)
        if text is LEAD or tokens.of_text(text + quote, model.token_factor) <= profile.answer_tokens:
            text += quote
    return text


def _quote(passage: Passage) -> str:
    text = passage.text.rstrip()
    fence = "```"
    while fence in text:
        fence += "`"
    title = passage.source.title
    language = "python" if title.endswith(".py") else ""
    lines = f"lines {passage.first_line}–{passage.last_line}"
    return f"**{title}**, {lines}\n\n{fence}{language}\n{text}\n{fence}\n\n"


def _stopped(text: str, sequences: list[str]) -> tuple[str, str | None]:
    found = [(text.find(sequence), sequence) for sequence in sequences if sequence in text]
    if not found:
        return text, None
    place, sequence = min(found)
    return text[:place], sequence


def _cut(text: str, budget: int, model: Model) -> list[Piece]:
    if budget <= 0:
        return []
    size = int(budget * tokens.BYTES_PER_TOKEN / model.token_factor)
    return [Piece(text.encode()[:size].decode(errors="ignore"), budget)]
