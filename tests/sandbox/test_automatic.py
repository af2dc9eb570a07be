"""Automatic caching: platform docs, prompt caching, "Automatic caching" and its edge cases."""

from app.sandbox.testing import SandboxServer
from tests.sandbox.conftest import Refuse, Send
from tests.sandbox.prompts import HOUR, MARK, assistant, text, texts, user


def test_automatic_caching_marks_the_last_cacheable_block(send: Send) -> None:
    assert send(cache_control=MARK, messages=[user(text("a"), text("b"))]) == (0, 2200, 0)
    assert send(messages=[user(text("a"), text("b", mark=MARK))]) == (2200, 0, 0)


def test_the_cache_point_moves_forward_as_the_conversation_grows(send: Send) -> None:
    first = user(text("question"))
    send(cache_control=MARK, messages=[first])
    grown = [first, assistant(text("answer", 300)), user(text("next", 50))]
    assert send(cache_control=MARK, messages=grown) == (1100, 350, 0)


def test_it_supports_a_1_hour_ttl(send: Send, sandbox: SandboxServer) -> None:
    send(cache_control=HOUR, messages=[user(text("a"))])
    sandbox.clock.advance(1800)
    assert send(cache_control=HOUR, messages=[user(text("a"))])[0] == 1100


def test_it_uses_one_of_the_4_slots(send: Send, refuse: Refuse) -> None:
    send(cache_control=MARK, messages=[user(*texts(1, 5, marked=(1, 2, 3)))])
    refuse(cache_control=MARK, messages=[user(*texts(1, 5, marked=(1, 2, 3, 4)))])


def test_if_the_last_block_is_marked_with_the_same_ttl_it_is_a_no_op(send: Send) -> None:
    assert send(cache_control=MARK, messages=[user(*texts(1, 8, marked=(2, 4, 6, 8)))])[1] == 1600


def test_if_the_last_block_is_marked_with_a_different_ttl_it_is_refused(refuse: Refuse) -> None:
    assert "ttl" in refuse(cache_control=MARK, messages=[user(text("a", mark=HOUR))])


def test_if_4_explicit_breakpoints_exist_it_is_refused(refuse: Refuse) -> None:
    message = refuse(cache_control=MARK, messages=[user(*texts(1, 5, marked=(1, 2, 3, 4)))])
    assert message.startswith("A maximum of 4 blocks with cache_control may be provided.")


def test_if_the_last_block_is_not_eligible_it_walks_backward_to_the_nearest_eligible_one(send: Send) -> None:
    messages = [user(text("question")), assistant({"type": "text", "text": ""})]
    assert send(cache_control=MARK, messages=messages)[:2] == (0, 1100)


def test_the_order_of_ttls_holds_for_the_automatic_breakpoint_too(refuse: Refuse) -> None:
    assert "must not come after" in refuse(cache_control=HOUR, messages=[user(*texts(1, 8, marked=(2,)))])


def test_minimum_sizes_apply_to_automatic_caching(send: Send) -> None:
    assert send(cache_control=MARK, messages=[user(text("a", 900))]) == (0, 0, 900)
