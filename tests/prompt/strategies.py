"""Any context, any history, any question: what the properties of the prompt are tested with."""

from dataclasses import dataclass
from typing import Any, get_args

from hypothesis import strategies as st

from app.models import MODELS
from app.prompt.context import Context, Document, Effort, Parameters, Pdf, Thinking
from app.prompt.render import Diagnostics

Answer = list[dict[str, Any]]

# What breaks renderers: JSON's own characters, line ends of all kinds, what looks like our own bytes.
_NASTY = [
    *('"', "\\", '\\"', "\\u0000", "\u2028", "\u2029", "\x01", "\x7f", "\x85", "\r\n", "\r", "\t", "/", "</script>"),
    *("\ufeff", "e\u0301", "\u00e9", "\U0001f469\u200d\U0001f680", "\U0010ffff", "\ufffe", "\u202e", "﷽"),
    *('"}]}],"max_tokens":0}', ',"cache_control":{"type":"ephemeral"}', "{}", "]]", "null"),
]
_characters = st.characters(codec="utf-8", exclude_characters="\0")

texts = st.lists(st.one_of(st.text(_characters, max_size=12), st.sampled_from(_NASTY)), max_size=5).map("".join)
visible = texts.filter(str.strip)
_sized = st.builds(lambda text, times: text * times, visible, st.sampled_from([1, 1, 1, 1, 5000]))

models = st.one_of(st.sampled_from(sorted(MODELS)), visible)
parameters = st.builds(
    Parameters,
    models,
    st.integers(1, 128_000),
    st.sampled_from([None, *get_args(Thinking)]),
    st.sampled_from([None, *get_args(Effort)]),
    st.sampled_from(["5m", "1h", "auto"]),
    st.booleans(),
)
pdfs = st.builds(Pdf, visible, st.binary(max_size=100), st.integers(1, 600))
_document = st.builds(Document, visible, _sized)
documents = st.lists(st.one_of(_document, _document, _document, pdfs), min_size=1, max_size=4).map(tuple)
contexts = st.builds(Context, documents, parameters, st.none() | visible)
isolations = st.none() | st.text("0123456789abcdef", min_size=32, max_size=32)

_citations = st.fixed_dictionaries(
    {
        "type": st.just("char_location"),
        "cited_text": texts,
        "document_index": st.integers(0, 9),
        "document_title": st.none() | texts,
        "start_char_index": st.integers(0, 999),
        "end_char_index": st.integers(0, 999),
    },
    optional={"file_id": st.none() | visible},
)
_text_blocks = st.fixed_dictionaries(
    {"type": st.just("text"), "text": texts},
    optional={"citations": st.none() | st.lists(_citations, min_size=1, max_size=2)},
)
_thinking_blocks = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": texts, "signature": visible})
_redacted_blocks = st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": visible})
blocks = st.one_of(_text_blocks, _text_blocks, _thinking_blocks, _redacted_blocks)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Up to 60 blocks, of up to six kinds."""
    kinds = draw(st.lists(blocks, max_size=6))
    length = draw(st.sampled_from([len(kinds), len(kinds), 18, 19, 20, 21, 60]))
    return [kinds[number % len(kinds)] for number in range(length)] if kinds else []


@dataclass(frozen=True)
class Conversation:
    """A session as it will go: its context, whether it stands alone, its turns, and the question after them."""

    context: Context
    isolation: str | None
    turns: list[tuple[str, Answer]]
    question: str
    diagnostics: Diagnostics | None


diagnostics = st.none() | st.fixed_dictionaries({"previous_message_id": st.none() | visible})
conversations = st.builds(
    Conversation, contexts, isolations, st.lists(st.tuples(visible, answers()), max_size=4), visible, diagnostics
)
