"""The page's own modules, in the browser that runs them: bytes to events, events to a turn, text to nodes."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

PARSE = """async chunks => {
    const { Parser } = await import('/static/js/sse.js');
    const parser = new Parser();
    return chunks.flatMap(chunk => parser.push(new Uint8Array(chunk)));
}"""

APPLY = """async events => {
    const { apply, turnOf } = await import('/static/js/turn.js');
    const turn = turnOf({ id: 't' });
    const news = events.map(([id, event, data]) => apply(turn, { id, event, data: JSON.stringify(data) }));
    return { ...turn, news };
}"""

GROW = """async ([text, cuts]) => {
    const { Prose, render } = await import('/static/js/text.js');
    const root = document.createElement('div');
    const prose = new Prose(root);
    for (const cut of cuts) prose.show(text.slice(0, cut));
    prose.show(text);
    const whole = document.createElement('div');
    whole.append(render(text));
    return [root.innerHTML, whole.innerHTML];
}"""

MARKDOWN = """# Title
Some *words*, **bold `code`** and ``a ` tick``.
Still the same paragraph; 2 * 3 * 4, snake_case_name, **unclosed.

> quoted
> > deeper

1. one
2. two
   with more

   ```python
   def f():
       return "```"

   ```
- a
  - nested
- b

not a list

```
<script>alert(1)</script>

# not a heading
```

---
Done – “ünïcødé” 😀"""


@pytest.fixture(scope="module")
def modules(browser: Browser, sandboxed: str) -> Iterator[Page]:
    """Any page of ours: its modules are there to be imported."""
    page = browser.new_page()
    page.goto(sandboxed)
    yield page
    page.close()


def delta(text: str) -> dict[str, Any]:
    return {"index": 0, "delta": {"type": "text_delta", "text": text}}


def split(data: bytes, dice: random.Random) -> list[list[int]]:
    """`data` in random pieces, empty ones among them."""
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(40)))
    return [list(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_the_same_however_the_bytes_are_cut(modules: Page, end: str) -> None:
    lines = [
        *("\ufeff: a comment", "event: turn", "id: 1", 'data: {"é": "😀"}', ""),
        *("data:no space", "data", "data:  two spaces", "unknown: field", "id: bad\0id", ""),
        *("event: nothing without data", "", "retry: 10", "data: last", "", "data: never ended"),
    ]
    stream = end.join(lines).encode()
    expected = [
        {"event": "turn", "data": '{"é": "😀"}', "id": "1"},
        {"event": "message", "data": "no space\n\n two spaces", "id": None},
        {"event": "message", "data": "last", "id": None},
    ]
    dice = random.Random(end)
    assert modules.evaluate(PARSE, [[byte] for byte in stream]) == expected
    for _ in range(60):
        assert modules.evaluate(PARSE, split(stream, dice)) == expected


def test_an_event_that_comes_twice_is_taken_once(modules: Page) -> None:
    first, second = ["1", "content_block_delta", delta("a")], ["2", "content_block_delta", delta("b")]
    turn = modules.evaluate(APPLY, [first, second, first, second, ["3", "content_block_delta", delta("c")]])
    assert turn["text"] == "abc"
    assert turn["news"] == [True, True, False, False, True]
    assert turn["last"] == 3


def test_a_restart_forgets_the_text_so_far(modules: Page) -> None:
    turn = modules.evaluate(
        APPLY,
        [
            ["1", "turn", {"turn": "t", "plan": "hit"}],
            ["2", "content_block_delta", delta("lost")],
            [None, "ping", {}],
            ["3", "restart", {"turn": "t", "reason": "upstream_overloaded"}],
            ["4", "content_block_delta", delta("kept")],
            ["5", "an_event_from_the_future", {}],
            ["6", "verdict", {"cache": "hit"}],
        ],
    )
    assert (turn["text"], turn["state"], turn["restarts"], turn["plan"]) == ("kept", "done", 1, "hit")


def test_nothing_changes_a_turn_that_has_ended(modules: Page) -> None:
    events = [["1", "stopped", {"turn": "t"}], ["2", "content_block_delta", delta("late")]]
    turn = modules.evaluate(APPLY, events)
    assert (turn["text"], turn["state"]) == ("", "stopped")


def test_a_text_that_grows_looks_as_it_would_in_one_piece(modules: Page) -> None:
    every = list(range(1, len(MARKDOWN)))
    grown, whole = modules.evaluate(GROW, [MARKDOWN, every])
    assert grown == whole
    dice = random.Random(7)
    pieces = MARKDOWN.splitlines(keepends=True)
    for _ in range(60):
        text = "".join(dice.choices(pieces, k=30))
        cuts = sorted(dice.randrange(len(text)) for _ in range(25))
        grown, whole = modules.evaluate(GROW, [text, cuts])
        assert grown == whole, text


def test_text_becomes_the_nodes_it_means(modules: Page) -> None:
    whole = modules.evaluate(GROW, [MARKDOWN, []])[1]
    assert whole.startswith("<h3>Title</h3><p>Some <em>words</em>, <strong>bold <code>code</code></strong>")
    assert "<code>a ` tick</code>" in whole
    assert "2 * 3 * 4, snake_case_name, **unclosed." in whole
    assert "<blockquote><p>quoted</p><blockquote><p>deeper</p></blockquote></blockquote>" in whole
    assert "<li>a<ul><li>nested</li></ul></li><li>b</li>" in whole
    assert '<figcaption>python</figcaption><pre tabindex="0"><code>def f():\n    return "```"\n' in whole
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n\n# not a heading" in whole


@pytest.mark.parametrize(
    "text", [">" * 20_000, "- " * 20_000 + "x", "*a " * 20_000, "`" * 20_000, "**a " * 20_000, "#" * 20_000]
)
def test_text_made_to_be_slow_is_not(modules: Page, text: str) -> None:
    ms = modules.evaluate(
        """async text => {
            const { render } = await import('/static/js/text.js');
            const start = performance.now();
            render(text);
            return performance.now() - start;
        }""",
        text,
    )
    assert ms < 1000


def test_ten_thousand_deltas_cost_no_more_each_than_the_first(modules: Page) -> None:
    ms = modules.evaluate(
        """async () => {
            const { Prose } = await import('/static/js/text.js');
            const root = document.createElement('div');
            const prose = new Prose(root);
            let text = '';
            const start = performance.now();
            for (let i = 0; i < 10_000; i++) {
                text += i % 20 ? 'some words ' : '\\n\\n';
                prose.show(text);
            }
            return performance.now() - start;
        }"""
    )
    assert ms < 5000


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (
            {"cache": "hit", "ttft_ms": 640, "cold_ms": 5180, "read": 151629, "written": 12, "cost_usd": 0.0312},
            ["First text 0.6 s", "would have been about 5.2 s cold", "read 151,629", "wrote 12", "$0.031"],
        ),
        (
            {"cache": "miss", "ttft_ms": 20870, "cold_ms": 20870, "read": 0, "written": 151629, "cost_usd": None},
            ["First text 20.9 s", "read 0", "wrote 151,629"],
        ),
        ({"cache": "uncacheable", "ttft_ms": None, "cold_ms": None, "read": None, "written": None}, []),
    ],
)
def test_the_stats_line_says_what_is_known_and_no_more(modules: Page, verdict: dict[str, Any], line: list[str]) -> None:
    facts = "async verdict => (await import('/static/js/verdict.js')).facts(verdict)"
    assert modules.evaluate(facts, verdict) == line
