"""Where the cache is written and read: platform docs, prompt caching, "How automatic prefix checking works"."""

import json

from tests.sandbox.conftest import Refuse, Send
from tests.sandbox.prompts import HOUR, MARK, assistant, document, text, texts, tool, user


def test_cache_prefixes_are_created_in_the_order_tools_system_messages(send: Send) -> None:
    parts = {"tools": [tool("a", MARK)], "system": [text("s", mark=MARK)], "messages": [user(text("m", mark=MARK))]}
    _, everything, _ = send(**parts)
    assert send(**parts) == (everything, 0, 0)
    read_all_but_messages, _, _ = send(**{**parts, "messages": [user(text("other", mark=MARK))]})
    read_tools, _, _ = send(**{**parts, "system": [text("other", mark=MARK)]})
    read_none, _, _ = send(**{**parts, "tools": [tool("b", MARK)]})
    assert everything > read_all_but_messages > read_tools > read_none == 0


def test_marking_a_block_writes_exactly_one_entry_at_that_block(send: Send) -> None:
    send(messages=[user(*texts(1, 6, 400, marked=(6,)))])
    assert send(messages=[user(*texts(1, 5, 400, marked=(5,)))])[0] == 0
    assert send(messages=[user(*texts(1, 6, 400, marked=(6,)))])[0] == 2400


def test_changing_any_block_at_or_before_the_breakpoint_is_a_different_prefix(send: Send) -> None:
    send(messages=[user(*texts(1, 6, 400, marked=(6,)))])
    changed = [text("changed", 400), *texts(2, 6, 400, marked=(6,))]
    assert send(messages=[user(*changed)]) == (0, 2400, 0)


def test_without_a_breakpoint_nothing_is_read_or_written(send: Send) -> None:
    send(messages=[user(*texts(1, 6, 400, marked=(6,)))])
    assert send(messages=[user(*texts(1, 6, 400))]) == (0, 0, 2400)


def test_a_growing_conversation_of_10_then_15_then_35_blocks(send: Send) -> None:
    assert send(messages=[user(*texts(1, 10, marked=(10,)))]) == (0, 2000, 0)
    assert send(messages=[user(*texts(1, 15, marked=(15,)))]) == (2000, 1000, 0)
    assert send(messages=[user(*texts(1, 35, marked=(35,)))]) == (0, 7000, 0)


def test_a_second_breakpoint_at_block_15_starts_a_second_lookback_window(send: Send) -> None:
    send(messages=[user(*texts(1, 15, marked=(15,)))])
    assert send(messages=[user(*texts(1, 35, marked=(15, 35)))]) == (3000, 4000, 0)


def test_the_lookback_counts_the_breakpoint_itself_as_the_first_of_20_positions(send: Send) -> None:
    send(messages=[user(*texts(1, 10, marked=(10,)))])
    assert send(messages=[user(*texts(1, 30, marked=(30,)))])[0] == 0
    assert send(messages=[user(*texts(1, 29, marked=(29,)))])[0] == 2000


def test_the_lookback_reaches_from_messages_into_system(send: Send) -> None:
    system = [text("system", mark=MARK)]
    send(system=system, messages=[user("first")])
    assert send(system=[text("system")], messages=[user(*texts(1, 19, marked=(19,)))])[0] == 1100
    assert send(system=[text("other")], messages=[user(*texts(1, 19, marked=(19,)))])[0] == 0


def test_a_run_of_tool_uses_or_of_tool_results_counts_as_one_position(send: Send) -> None:
    def turn(count: int, mark: bool) -> list[object]:
        uses = [{"type": "tool_use", "id": f"t{i}", "name": "a", "input": {}} for i in range(count)]
        results = [{"type": "tool_result", "tool_use_id": f"t{i}", "content": "done"} for i in range(count)]
        last = text("last", 50, MARK) if mark else text("last", 50)
        return [assistant(*uses), user(*results, last)]

    tools = [tool("a")]
    question = text("question", mark=MARK)
    send(tools=tools, messages=[user(question)])
    assert send(tools=tools, messages=[user(text("question")), *turn(30, mark=True)])[0] > 2000


def test_blocks_that_were_marked_once_and_are_unmarked_later_still_hit(send: Send) -> None:
    send(messages=[user(text("one", mark=MARK))])
    assert send(messages=[user(text("one"), text("two", 100, MARK))]) == (1100, 100, 0)


def test_a_breakpoint_on_content_that_changes_every_request_never_hits(send: Send) -> None:
    for time in ("12:00", "12:01", "12:02"):
        assert send(messages=[user(*texts(1, 5, 400), text(time, 100, MARK))]) == (0, 2100, 0)


def test_at_most_4_breakpoints_may_be_defined(refuse: Refuse, send: Send) -> None:
    send(messages=[user(*texts(1, 5, marked=(1, 2, 3, 4)))])
    message = refuse(messages=[user(*texts(1, 5, marked=(1, 2, 3, 4, 5)))])
    assert message == "A maximum of 4 blocks with cache_control may be provided. Found 5."


def test_breakpoints_in_tools_system_and_messages_count_together(refuse: Refuse) -> None:
    message = refuse(
        tools=[tool("a", MARK), tool("b", MARK)],
        system=[text("s", mark=MARK)],
        messages=[user(*texts(1, 2, marked=(1, 2)))],
    )
    assert message.endswith("Found 5.")


def test_empty_text_blocks_cannot_be_cached(refuse: Refuse) -> None:
    empty = {"type": "text", "text": "", "cache_control": MARK}
    assert refuse(system=[empty], messages=[user("hi")]) == (
        "system.0: cache_control cannot be set for empty text blocks"
    )


def test_thinking_blocks_cannot_be_cached_directly(refuse: Refuse) -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": "x", "cache_control": MARK}
    message = refuse(messages=[user("hi"), assistant(thinking), user("go on")])
    assert message == "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted"


def test_sub_content_blocks_cannot_be_cached_directly_but_their_top_level_block_can(send: Send) -> None:
    use = {"type": "tool_use", "id": "t", "name": "a", "input": {}}
    inner = {"type": "tool_result", "tool_use_id": "t", "content": [text("inner", mark=MARK)]}
    outer = {"type": "tool_result", "tool_use_id": "t", "content": [text("inner")], "cache_control": MARK}
    conversation = [user("hi"), assistant(use)]
    assert send(tools=[tool("a")], messages=[*conversation, user(inner)])[:2] == (0, 0)
    assert send(tools=[tool("a")], messages=[*conversation, user(outer)])[1] > 1100


def test_a_1_hour_entry_must_appear_before_any_5_minute_entries(refuse: Refuse, send: Send) -> None:
    send(messages=[user(text("a", mark=HOUR), text("b", mark=MARK))])
    message = refuse(messages=[user(text("a", mark=MARK), text("b", mark=HOUR))])
    assert message.startswith("messages.0.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come")


def test_only_ephemeral_with_5m_or_1h_is_a_cache_type(refuse: Refuse) -> None:
    for mark in ({"type": "persistent"}, {"type": "ephemeral", "ttl": "2h"}, {"ttl": "5m"}):
        assert "cache_control" in refuse(messages=[user(text("a", mark=mark))])


def test_splitting_a_turn_into_two_messages_of_one_role_is_the_same_prompt(send: Send) -> None:
    send(messages=[user(text("a"), text("b", mark=MARK))])
    assert send(messages=[user(text("a")), user(text("b", mark=MARK))]) == (2200, 0, 0)


def test_the_order_of_a_blocks_own_keys_is_no_content_but_that_of_tool_input_is(send: Send) -> None:
    block = text("a", mark=MARK)
    send(messages=[user(block)])
    assert send(messages=[user(dict(reversed(block.items())))])[0] == 1100

    def used(arguments: dict[str, int]) -> tuple[int, int, int]:
        use = {"type": "tool_use", "id": "t", "name": "a", "input": arguments}
        result = {"type": "tool_result", "tool_use_id": "t", "content": [text("r")], "cache_control": MARK}
        return send(tools=[tool("a")], messages=[user("hi"), assistant(use), user(result)])

    used({"a": 1, "b": 2})
    assert used({"a": 1, "b": 2})[0] > 0
    assert used({"b": 2, "a": 1})[0] == 0


def test_changing_a_document_title_changes_the_prefix(send: Send) -> None:
    data = "line\n" * 2000
    send(messages=[user(document("one.txt", data, MARK))])
    assert send(messages=[user(document("two.txt", data, MARK))])[0] == 0
    assert send(messages=[user(document("one.txt", data, MARK))])[0] > 0


def test_a_text_that_looks_like_another_block_is_not_that_block(send: Send) -> None:
    cited = {"type": "text", "text": "a " * 4000, "citations": [{"type": "char_location", "cited_text": "a"}]}
    send(messages=[user("hi"), assistant({**cited, "cache_control": MARK}), user("on")])
    for spelled in (json.dumps(cited, separators=(",", ":")), cited["text"]):
        twin = {"type": "text", "text": spelled, "cache_control": MARK}
        assert send(messages=[user("hi"), assistant(twin), user("on")])[0] == 0
