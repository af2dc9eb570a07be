"""A context as a value: its id, and what may not enter one."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models import Model, find_model
from app.prompt.context import AnyDocument, Context, Document, InvalidContext, Parameters, Pdf
from app.prompt.parameters import check_pages, check_parameters
from app.prompt.text import UnsafeText, check_text
from tests.prompt.strategies import contexts, visible

PARAMETERS = Parameters("claude-sonnet-5-5")


def parts_of(context: Context) -> Any:
    return (context.parameters, context.instructions, list(context.documents))


def longer(document: AnyDocument) -> AnyDocument:
    if isinstance(document, Document):
        return replace(document, text=document.text + "\n")
    return replace(document, content=document.content + b"\n")


@given(contexts, contexts)
@settings(max_examples=50)
def test_contexts_have_the_same_id_exactly_when_all_their_parts_are_the_same(one: Context, other: Context) -> None:
    copy = Context(tuple(replace(document) for document in one.documents), replace(one.parameters), one.instructions)
    assert copy.id == one.id
    assert (one.id == other.id) == (parts_of(one) == parts_of(other))


@given(contexts, st.data())
@settings(max_examples=50)
def test_any_change_of_any_part_changes_the_id(context: Context, data: st.DataObject) -> None:
    documents, parameters = context.documents, context.parameters
    place = data.draw(st.integers(0, len(documents) - 1))
    before, at, after = documents[:place], documents[place], documents[place + 1 :]
    changed = [
        replace(context, documents=(*before, replace(at, title=at.title + "x"), *after)),
        replace(context, documents=(*before, longer(at), *after)),
        replace(context, documents=(*documents, at)),
        replace(context, instructions=(context.instructions or "") + "x"),
        replace(context, parameters=replace(parameters, model=parameters.model + "x")),
        replace(context, parameters=replace(parameters, max_tokens=parameters.max_tokens + 1)),
        replace(context, parameters=replace(parameters, ttl="1h" if parameters.ttl == "5m" else "5m")),
        replace(context, parameters=replace(parameters, effort="low" if parameters.effort != "low" else None)),
        replace(context, parameters=replace(parameters, thinking="disabled" if not parameters.thinking else None)),
    ]
    ids = [one.id for one in changed]
    assert context.id not in ids
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("a", "bc")], [("ab", "c")]),
        ([("a", "b"), ("c", "d")], [("a", "b1:c1:d")]),
        ([("a", "b"), ("c", "d")], [("c", "d"), ("a", "b")]),
        ([("a", "é")], [("a", "e\u0301")]),
        ([("a", "line\n")], [("a", "line\r\n")]),
    ],
    ids=["shifted between parts", "a text that looks like two parts", "order", "normalisation", "line ends"],
)
def test_look_alikes_are_different_contexts(one: Any, other: Any) -> None:
    first, second = (Context(tuple(Document(*document) for document in made), PARAMETERS) for made in (one, other))
    assert first.id != second.id


def test_no_instructions_and_instructions_that_are_a_title_differ() -> None:
    assert Context((Document("a", "b"),), PARAMETERS, "i").id != Context((Document("a", "b"),), PARAMETERS).id


def test_an_id_is_unguessable_and_says_what_it_is() -> None:
    found = Context((Document("a", "b"),), PARAMETERS).id
    assert found.startswith("c_")
    assert len(bytes.fromhex(found[2:])) * 8 >= 128


@given(visible, st.sampled_from(["\0", "\ud800", "\udfff"]), visible)
def test_what_has_no_way_through_is_refused_with_its_document_and_position(before: str, bad: str, after: str) -> None:
    whole = Document("whole.txt", "fine")
    with pytest.raises(UnsafeText) as refused:
        Context((whole, Document("broken.txt", before + bad + after)), PARAMETERS)
    assert refused.value.field == "documents.1.text"
    assert refused.value.position == len(before)
    assert "broken.txt" in str(refused.value)
    assert f"character {len(before)}" in str(refused.value)
    with pytest.raises(UnsafeText) as refused:
        Context((whole, Document(before + bad + after, "fine")), PARAMETERS)
    assert (refused.value.field, refused.value.position) == ("documents.1.title", len(before))
    # The refusal itself can be sent.
    str(refused.value).encode()
    with pytest.raises(UnsafeText) as refused:
        Context((whole,), PARAMETERS, before + bad + after)
    assert (refused.value.field, refused.value.position) == ("instructions", len(before))


@given(st.text())
def test_a_text_is_refused_exactly_when_utf8_or_nul_would_not_carry_it(text: str) -> None:
    try:
        check_text(text, "field", "it")
    except UnsafeText as error:
        assert text[error.position] == "\0" or "\ud800" <= text[error.position] <= "\udfff"
    else:
        assert text.encode().decode() == text
        assert "\0" not in text


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("documents", lambda: Context((), PARAMETERS)),
        ("documents.0.text", lambda: Context((Document("a", " \n"),), PARAMETERS)),
        ("documents.1.title", lambda: Context((Document("a", "b"), Document("", "b")), PARAMETERS)),
        ("instructions", lambda: Context((Document("a", "b"),), PARAMETERS, " ")),
    ],
)
def test_what_is_empty_is_refused_by_its_field(field: str, make: Any) -> None:
    with pytest.raises(InvalidContext) as refused:
        make()
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "parameters"),
    [
        ("max_tokens", Parameters("claude-sonnet-5-5", max_tokens=0)),
        ("max_tokens", Parameters("claude-haiku-4-5", max_tokens=64_001)),
        ("thinking", Parameters("claude-sonnet-5-5", thinking="disabled")),
        ("thinking", Parameters("claude-sonnet-5", thinking="between_tools")),
        ("effort", Parameters("claude-haiku-4-5", effort="low")),
        ("effort", Parameters("claude-opus-4-6", effort="xhigh")),
    ],
)
def test_parameters_that_the_model_is_known_to_refuse_are_refused_by_field(field: str, parameters: Parameters) -> None:
    with pytest.raises(InvalidContext) as refused:
        check_parameters(parameters, find_model(parameters.model))
    assert refused.value.field == field
    assert parameters.model in str(refused.value) or parameters.max_tokens == 0


def test_an_unknown_model_takes_whatever_is_asked_of_it() -> None:
    for thinking in ("adaptive", "disabled", "between_tools"):
        check_parameters(Parameters("my-own", 10**6, thinking, "max"), Model("my-own"))


def test_a_file_is_never_taken_for_the_text_of_the_same_bytes() -> None:
    as_text, as_file = Document("a.pdf", "%PDF-1.4"), Pdf("a.pdf", b"%PDF-1.4", 1)
    assert Context((as_text,), PARAMETERS).id != Context((as_file,), PARAMETERS).id


@pytest.mark.parametrize(("model", "most"), [("claude-haiku-4-5", 100), ("claude-sonnet-5-5", 600)])
def test_more_pages_than_a_request_takes_are_refused_with_both_numbers(model: str, most: int) -> None:
    check_pages(most, find_model(model))
    with pytest.raises(InvalidContext, match=f"{most + 1} pages; a request to {model} takes {most}"):
        check_pages(most + 1, find_model(model))
    check_pages(10_000, Model("my-own"))
