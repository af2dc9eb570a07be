"""The upstream's events, split from any stream of bytes: however it is cut, and however its lines end."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.upstream.errors import UpstreamCode, UpstreamError
from app.upstream.events import MAX_EVENT_BYTES, Event, Splitter

LINE_ENDS = [b"\n", b"\r\n", b"\r"]


async def split(chunks: Iterable[bytes]) -> list[Event]:
    splitter = Splitter()
    return [event for chunk in chunks for event in splitter.feed(chunk)]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` cut at `places`, which may be anywhere and come twice."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@dataclass(frozen=True)
class Line:
    """One line of a stream and how it ends."""

    content: bytes
    end: bytes


_value = st.binary(max_size=8).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
_field = st.sampled_from([b"event", b"data", b"data", b"id", b"retry", b"", b"other", b" data"])
_content = st.one_of(
    st.just(b""),
    st.just(b""),
    st.builds(
        lambda field, colon, value: field + colon + value, _field, st.sampled_from([b":", b": ", b":  "]), _value
    ),
    _field,
    st.sampled_from([b'data: {"a": 1}', "data: \u2028 zwölf \x85".encode(), b"event: ping", b": comment", b"data"]),
)
_lines = st.lists(st.builds(Line, _content, st.sampled_from(LINE_ENDS)), max_size=25)


def meant(lines: list[Line]) -> list[Event]:
    """What the specification of server-sent events makes of `lines`, those that no blank line ends left out."""
    events: list[Event] = []
    name, kept = b"", b""
    data: list[bytes] = []
    # A lone CR before a line that is empty and ends with LF is a CRLF: one line end, not two.
    joined = b"".join(line.content + line.end for line in lines).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for content in joined.split(b"\n")[:-1]:
        if not content:
            if data:
                events.append(Event(name.decode("utf-8", "replace") or "message", b"\n".join(data), kept))
            name, data, kept = b"", [], b""
            continue
        field, _, value = content.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"event":
            name, kept = value, kept + content + b"\n"
        if field == b"data":
            data, kept = [*data, value], kept + content + b"\n"
    return events


@given(_lines, st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=400)
async def test_however_a_stream_is_cut_and_its_lines_end_it_has_the_same_events(
    lines: list[Line], places: list[int]
) -> None:
    stream = b"".join(line.content + line.end for line in lines)
    expected = meant(lines)
    assert await split([stream]) == expected
    assert await split(cut(stream, places)) == expected
    assert await split([stream[place : place + 1] for place in range(len(stream))]) == expected


async def test_an_event_keeps_its_own_lines_and_only_those() -> None:
    stream = b': hello\nid: 7\nretry: 3\nevent:  spaced \ndata:{"a":\ndata: 1}\nfoo: bar\n\n'
    assert await split([stream]) == [
        Event(" spaced ", b'{"a":\n1}', b'event:  spaced \ndata:{"a":\ndata: 1}\n'),
    ]


async def test_an_event_is_there_as_soon_as_its_blank_line_is() -> None:
    for end in LINE_ENDS:
        splitter = Splitter()
        for name in ("one", "two"):
            assert splitter.feed(b"event: " + name.encode() + end + b"data: 1") == []
            assert [event.name for event in splitter.feed(end + end)] == [name]


async def test_what_no_blank_line_ends_is_no_event() -> None:
    assert await split([b"event: a\ndata: 1\n"]) == []
    assert await split([]) == []
    assert await split([b"", b"\n\n\n", b"data", b"\n\n"]) == [Event("message", b"", b"data\n")]


@pytest.mark.parametrize("size", [1000, MAX_EVENT_BYTES + 100])
async def test_an_event_too_long_is_refused_however_it_comes(size: int) -> None:
    whole = b"data: " + b"x" * (MAX_EVENT_BYTES - 6)
    assert [len(found.data) for found in await split(cut(whole + b"\n\n", range(0, len(whole), size * 1000)))] == [
        MAX_EVENT_BYTES - 6
    ]
    for stream in (whole + b"x\n\n", whole + b"x", b"data: 1\n\n" + whole + b"x\n\n"):
        with pytest.raises(UpstreamError) as refused:
            await split(cut(stream, range(0, len(stream), size * 1000)))
        assert refused.value.code is UpstreamCode.GARBLED


def test_half_a_surrogate_pair_is_parsed_too() -> None:
    assert Event("x", b'{"text": "\\ud83d"}', b"").parsed() == {"text": "\ud83d"}


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b"null", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 9999]
)
def test_data_that_is_no_object_is_garbled(data: bytes) -> None:
    with pytest.raises(UpstreamError) as refused:
        Event("message_start", data, b"").parsed()
    assert refused.value.code is UpstreamCode.GARBLED
