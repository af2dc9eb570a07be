"""The library over a real Redis: whose contexts there are, by which names, and when their bytes go."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.contexts.library import (
    KEEP_REPLACED_S,
    ContextTooLarge,
    Library,
    TooManyBytes,
    TooManyContexts,
    UnknownContext,
)
from app.prompt.context import Context, Document, InvalidContext, Parameters
from app.prompt.render import render_fragments
from app.store import keys
from app.store.connection import Store, StoreUnavailable
from app.store.contexts import PUBLIC, Contexts
from tests.running import RedisProcess

ALICE, BOB = "alice", "bob"
NOW = 1_795_262_635.5


@pytest.fixture
async def stored(redis: RedisProcess) -> AsyncIterator[Contexts]:
    store = Store(redis.url)
    yield Contexts(store)
    await store.close()


@pytest.fixture
def library(stored: Contexts) -> Library:
    return Library(stored, clock=lambda: NOW)


def context(text: str = "Alpha.", instructions: str | None = "Be brief.") -> Context:
    documents = (Document("a.txt", text), Document("ü/b.txt", "Grüße 🎉\r\n"))
    return Context(documents, Parameters("claude-sonnet-5-5", 500, None, "low", "1h"), instructions)


async def names(library: Library, owner: str) -> list[str]:
    return [view.name for view in await library.all(owner)]


async def test_what_was_added_is_shown_as_it_was_given(library: Library) -> None:
    made = context()
    view = await library.add(ALICE, "handbook", made)
    assert (view.id, view.name, view.public, view.parameters) == (made.id, "handbook", False, made.parameters)
    assert view.instructions == "Be brief."
    assert view.titles == (("a.txt", 6), ("ü/b.txt", len("Grüße 🎉\r\n".encode())))
    assert view.bytes == made.size == 9 + 6 + len("Grüße 🎉\r\n".encode())
    assert view.tokens is None
    assert view.created_ms == 1_795_262_635_500
    assert view.warnings == ()
    assert await library.get("handbook", ALICE) == await library.get(made.id, ALICE) == view


async def test_the_stored_bytes_are_the_rendered_ones(library: Library, stored: Contexts) -> None:
    made = context()
    await library.add(ALICE, "handbook", made)
    fragments, rendered = await stored.fragments(made.id), render_fragments(made)
    assert fragments is not None
    assert (fragments.system, fragments.documents, fragments.blocks) == (rendered.system, rendered.documents, 3)


async def test_warnings_of_the_lint_are_kept(library: Library) -> None:
    view = await library.add(ALICE, "daily", context(instructions="Today is 2026-11-21."))
    assert [warning["place"] for warning in view.warnings] == ["instructions, line 1"]


async def test_everyones_come_first_and_each_by_name(library: Library) -> None:
    for owner, name in ((ALICE, "b"), (ALICE, "a"), (PUBLIC, "z"), (PUBLIC, "y"), (BOB, "c")):
        await library.add(owner, name, context(f"{owner} {name}"))
    assert await names(library, ALICE) == ["y", "z", "a", "b"]
    assert await names(library, BOB) == ["y", "z", "c"]
    assert await names(library, "stranger") == ["y", "z"]
    assert [view.public for view in await library.all(ALICE)] == [True, True, False, False]


async def test_a_context_of_another_does_not_exist_by_name_or_id(library: Library) -> None:
    view = await library.add(ALICE, "handbook", context())
    for reference in ("handbook", view.id):
        with pytest.raises(UnknownContext):
            await library.get(reference, BOB)
        with pytest.raises(UnknownContext):
            await library.remove(reference, BOB)
    assert await library.get("handbook", ALICE) == view


async def test_everyones_contexts_are_everyones_to_ask_and_nobodys_to_remove(library: Library) -> None:
    view = await library.add(PUBLIC, "manual", context())
    assert (await library.get("manual", BOB)).public
    assert (await library.get(view.id, BOB)).name == "manual"
    with pytest.raises(UnknownContext):
        await library.remove("manual", BOB)
    await library.remove("manual", PUBLIC)
    assert await names(library, BOB) == []


async def test_ones_own_name_wins_over_everyones(library: Library) -> None:
    await library.add(PUBLIC, "manual", context("public"))
    mine = await library.add(ALICE, "manual", context("mine"))
    assert (await library.get("manual", ALICE)).id == mine.id
    assert (await library.get("manual", BOB)).id != mine.id


async def test_a_name_given_again_is_given_to_the_new_context(library: Library) -> None:
    before = await library.add(ALICE, "handbook", context("first"))
    after = await library.add(ALICE, "handbook", context("second"))
    assert [view.id for view in await library.all(ALICE)] == [after.id]
    with pytest.raises(UnknownContext):
        await library.get(before.id, ALICE)


async def test_what_was_replaced_is_kept_for_its_conversations_for_a_while(
    library: Library, stored: Contexts, redis: RedisProcess
) -> None:
    before = await library.add(ALICE, "handbook", context("first"))
    await library.add(ALICE, "handbook", context("second"))
    assert await stored.exists(before.id)
    for key in (keys.context(before.id), keys.fragments(before.id)):
        assert 0 < int(redis.say(f"TTL {key}".encode())[1:]) <= KEEP_REPLACED_S
    await library.add(ALICE, "old handbook", context("first"))
    assert redis.say(f"TTL {keys.fragments(before.id)}".encode()) == b":-1\r\n"


async def test_adding_the_same_again_changes_nothing(library: Library, stored: Contexts) -> None:
    first = await library.add(ALICE, "handbook", context())
    await stored.learn_tokens(first.id, 4711)
    again = await library.add(ALICE, "handbook", context())
    assert again.id == first.id
    assert again.tokens == 4711
    assert await names(library, ALICE) == ["handbook"]


async def test_one_content_may_have_several_names(library: Library, stored: Contexts) -> None:
    one = await library.add(ALICE, "one", context())
    two = await library.add(ALICE, "two", context())
    assert (one.name, two.name) == ("one", "two")
    assert one.id == two.id
    await library.remove("one", ALICE)
    assert await names(library, ALICE) == ["two"]
    assert await stored.exists(one.id)
    await library.add(ALICE, "one", context())
    await library.remove(one.id, ALICE, "two")
    assert await names(library, ALICE) == ["one"]
    with pytest.raises(UnknownContext):
        await library.remove(one.id, ALICE, "two")
    await library.add(ALICE, "two", context())
    await library.remove(one.id, ALICE)
    assert await names(library, ALICE) == []
    assert not await stored.exists(one.id)


async def test_replacing_one_of_two_names_keeps_the_content_of_the_other(library: Library, stored: Contexts) -> None:
    shared = await library.add(ALICE, "one", context())
    await library.add(ALICE, "two", context())
    await library.add(ALICE, "one", context("other"))
    assert await stored.exists(shared.id)
    assert (await library.get("two", ALICE)).id == shared.id


async def test_bytes_go_when_the_last_owner_lets_go(library: Library, stored: Contexts, redis: RedisProcess) -> None:
    view = await library.add(ALICE, "mine", context())
    await library.add(BOB, "his", context())
    await library.add(PUBLIC, "ours", context())
    await library.remove("mine", ALICE)
    with pytest.raises(UnknownContext):
        await library.get("mine", ALICE)
    await library.remove("ours", PUBLIC)
    assert (await library.get("his", BOB)).id == view.id
    assert await stored.fragments(view.id) is not None
    await library.remove(view.id, BOB)
    assert await stored.fragments(view.id) is None
    assert await stored.about(view.id) is None
    assert redis.say(b"DBSIZE") == b":0\r\n"


async def test_tokens_are_learned_only_for_a_context_that_is_there(library: Library, stored: Contexts) -> None:
    view = await library.add(ALICE, "mine", context())
    await stored.learn_tokens(view.id, 151_629)
    assert (await library.get("mine", ALICE)).tokens == 151_629
    await library.remove("mine", ALICE)
    await stored.learn_tokens(view.id, 1)
    assert await stored.about(view.id) is None


async def test_an_unknown_context_is_unknown(library: Library) -> None:
    for reference in ("nothing", "", "c_" + "0" * 40, "*", "name\r\n"):
        with pytest.raises(UnknownContext):
            await library.get(reference, ALICE)
        with pytest.raises(UnknownContext):
            await library.remove(reference, ALICE)


@pytest.mark.parametrize("name", ["ünï 🎉", "with space", "c_1", "a:b{c}", "\n", "x" * 200, "*"])
async def test_a_name_may_be_anything(library: Library, name: str) -> None:
    view = await library.add(ALICE, name, context())
    assert (await library.get(name, ALICE)) == view
    await library.remove(name, ALICE)
    assert await names(library, ALICE) == []


async def test_an_owner_may_have_so_many_and_the_operator_any_number(stored: Contexts) -> None:
    library = Library(stored, most=3)
    for number in range(3):
        await library.add(ALICE, f"{number}", context(f"{number}"))
        await library.add(PUBLIC, f"{number}", context(f"{number}"))
    refused = context("one more, refused")
    with pytest.raises(TooManyContexts, match="3"):
        await library.add(ALICE, "one more", refused)
    assert not await stored.exists(refused.id)
    await library.add(ALICE, "2", context("in the place of another"))
    await library.add(PUBLIC, "one more", context("one more"))
    await library.add(BOB, "first", context("first"))
    await Library(stored).add(ALICE, "one more", context("one more"))
    await library.remove("0", ALICE)
    await library.remove("1", ALICE)
    await library.add(ALICE, "room again", context("room again"))


async def test_an_owners_contexts_may_have_so_many_bytes_together(stored: Contexts) -> None:
    library = Library(stored, most_bytes=1_000)
    await library.add(ALICE, "a", context("a" * 400))
    await library.add(ALICE, "b", context("b" * 400))
    with pytest.raises(TooManyBytes, match="1,000"):
        await library.add(ALICE, "c", context("c" * 400))
    # What is refused takes nothing from whoever has the same.
    with pytest.raises(TooManyBytes):
        await library.add(ALICE, "c", context("a" * 400))
    assert await stored.exists(context("a" * 400).id)
    assert await names(library, ALICE) == ["a", "b"]
    await library.add(BOB, "c", context("c" * 400))
    await library.add(ALICE, "b", context("c" * 500))
    await library.remove("a", ALICE)
    await library.add(ALICE, "d", context("d" * 400))


async def test_limits_hold_however_many_ask_at_once(stored: Contexts) -> None:
    library = Library(stored, most=2)
    adding = [library.add(ALICE, f"{number}", context(f"{number}")) for number in range(8)]
    answers = await asyncio.gather(*adding, return_exceptions=True)
    assert sum(isinstance(answer, TooManyContexts) for answer in answers) == 6
    assert len(await names(library, ALICE)) == 2


async def test_what_no_request_could_hold_is_refused_with_both_numbers(library: Library) -> None:
    with pytest.raises(ContextTooLarge) as refused:
        await library.add(ALICE, "huge", context("x" * 33_000_000))
    assert "33,000," in str(refused.value)
    assert "32,000,000" in str(refused.value)
    with pytest.raises(ContextTooLarge) as refused:
        await library.add(ALICE, "long", Context((Document("a", "word " * 200_000),), Parameters("claude-haiku-4-5")))
    assert "claude-haiku-4-5 reads 200,000" in str(refused.value)
    assert await names(library, ALICE) == []


async def test_a_model_that_is_not_known_is_not_judged(library: Library) -> None:
    made = Context((Document("a", "word " * 2_000_000),), Parameters("my-own-model"))
    assert (await library.add(ALICE, "mine", made)).parameters.model == "my-own-model"


async def test_parameters_that_the_model_refuses_are_refused(library: Library) -> None:
    made = Context((Document("a", "b"),), Parameters("claude-sonnet-5-5", thinking="disabled"))
    with pytest.raises(InvalidContext):
        await library.add(ALICE, "mine", made)


async def test_the_sample_is_added_once_and_not_again_after_it_was_removed(stored: Contexts) -> None:
    library = Library(stored, sample_model="claude-sonnet-5-5")
    assert await library.add_sample_once()
    (view,) = await library.all("stranger")
    assert (view.name, view.public, view.warnings) == ("asyncio", True, ())
    await library.remove("asyncio", PUBLIC)
    assert not await library.add_sample_once()
    assert await library.all("stranger") == []


async def test_without_redis_everything_says_so(tmp_path: Path) -> None:
    store = Store(f"unix://{tmp_path}/nothing.sock")
    away = Library(Contexts(store))
    with pytest.raises(StoreUnavailable):
        await away.all(ALICE)
    with pytest.raises(StoreUnavailable):
        await away.add(ALICE, "mine", context())
    await store.close()
