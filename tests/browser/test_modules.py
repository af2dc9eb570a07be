"""The page's own modules, in the browser that runs them: bytes to events, events to a turn, blocks to nodes."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from app.rendering.answer import AnswerHtml, blocks_of

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

GROW = """async steps => {
    const { fragment } = await import('/static/js/html.js');
    const { Prose } = await import('/static/js/prose.js');
    const root = document.createElement('div');
    const prose = new Prose(root);
    let stayed = true;
    for (const [n, step] of steps.entries()) {
        const finished = [...root.children].slice(0, step.findIndex((html, k) => html !== steps[n - 1]?.[k]));
        prose.show(step);
        stayed &&= finished.every((element, k) => root.children[k] === element);
    }
    const whole = document.createElement('div');
    whole.append(fragment(steps.at(-1).join('')));
    return [root.innerHTML, whole.innerHTML, stayed];
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
    assert (turn["phase"], turn["answer"]) == ("writing", "abc")
    assert turn["news"] == [True, True, False, False, True]
    assert turn["last"] == 3


@pytest.mark.parametrize("again", ["restart", "message_start"])
def test_what_begins_anew_forgets_what_was(modules: Page, again: str) -> None:
    turn = modules.evaluate(
        APPLY,
        [
            ["1", "turn", {"turn": "t", "plan": "hit"}],
            ["2", "content_block_delta", {"delta": {"type": "thinking_delta", "thinking": "lost"}}],
            ["3", "content_block_delta", delta("lost")],
            [None, "html", {"block": 0, "html": "<p>one</p>", "open": False}],
            [None, "html", {"block": 1, "html": "<p>two</p><p>three</p>", "open": True}],
            [None, "ping", {}],
            ["4", again, {"turn": "t", "reason": "upstream_overloaded"}],
            [None, "html", {"block": 0, "html": "", "open": True}],
            ["5", "content_block_delta", delta("kept")],
            [None, "html", {"block": 0, "html": "<p>kept</p>", "open": False}],
            ["6", "an_event_from_the_future", {}],
            ["7", "verdict", {"cache": "hit", "ttfb_ms": 100, "ttft_ms": 3300}],
        ],
    )
    assert (turn["blocks"], turn["thinking"], turn["state"], turn["plan"]) == (["<p>kept</p>"], "", "done", "hit")
    assert (turn["answer"], turn["thought"]) == ("kept", 3200)


def test_nothing_changes_a_turn_that_has_ended(modules: Page) -> None:
    late = {"block": 0, "html": "<p>late</p>", "open": False}
    events = [["1", "stopped", {"turn": "t"}], ["2", "content_block_delta", delta("late")], [None, "html", late]]
    turn = modules.evaluate(APPLY, events)
    assert (turn["blocks"], turn["phase"], turn["state"]) == ([], "waiting", "stopped")


def test_blocks_that_grow_look_as_they_would_at_once_and_what_is_there_stays(modules: Page) -> None:
    dice = random.Random(7)
    for _ in range(12):
        text = "".join(dice.choices(MARKDOWN.splitlines(keepends=True), k=20))
        answer = AnswerHtml()
        steps = []
        for at in range(0, len(text), 9):
            answer.take("content_block_delta", {"delta": {"type": "text_delta", "text": text[at : at + 9]}})
            answer.advance()
            steps.append([*answer.blocks, *([rest] if (rest := answer.rest()) else [])])
        answer.finish()
        grown, whole, stayed = modules.evaluate(GROW, [*steps, answer.blocks])
        assert grown == whole, text
        assert stayed, text


def test_what_a_reader_did_to_code_outlives_its_growth(modules: Page) -> None:
    steps = [blocks_of([{"type": "text", "text": f"```python\n{'x = 1' * n}"}]) for n in range(1, 5)]
    left = modules.evaluate(
        """async steps => {
            const { Prose, tendFigures } = await import('/static/js/prose.js');
            const root = document.body.appendChild(document.createElement('div'));
            const prose = new Prose(root);
            tendFigures(root, () => {});
            prose.show(steps[0]);
            const code = root.querySelector('code');
            getSelection().setBaseAndExtent(code.firstChild, 0, code.firstChild, 1);
            root.querySelector('.wrap').click();
            for (const step of steps.slice(1)) prose.show(step);
            const wrapped = root.querySelector('figure').hasAttribute('data-reader-wraps');
            const state = [root.querySelector('.wrap').ariaPressed, wrapped, String(getSelection()), code.textContent];
            root.remove();
            return state;
        }""",
        steps,
    )
    assert left == ["true", True, "x", "x = 1" * 4]


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
        (
            {"cache": "hit", "ttft_ms": 59_400, "cold_ms": 365_400, "waited_ms": 119_700},
            ["First text 59.4 s", "of which 2 min for the warm-up to end", "would have been about 6 min 5 s cold"],
        ),
        (
            {"cache": "miss", "reason": "prefix_changed", "ttft_ms": 900, "cold_ms": 900, "read": 0},
            ["The context had changed", "First text 0.9 s", "read 0"],
        ),
        ({"cache": "uncacheable", "ttft_ms": None, "cold_ms": None, "read": None, "written": None}, []),
    ],
)
def test_the_stats_line_says_what_is_known_and_no_more(modules: Page, verdict: dict[str, Any], line: list[str]) -> None:
    facts = "async verdict => (await import('/static/js/verdict.js')).facts(verdict)"
    assert modules.evaluate(facts, verdict) == line


@pytest.mark.parametrize(
    ("verdict", "lines"),
    [
        (
            {"cache": "hit", "read": 197_144, "written": 0, "uncached": 25, "output": 1, "saved_usd": 0.3746},
            ["197,144 tokens read from the cache, 0 written to it, 25 read outside it, 1 of answer, $0.37 saved"],
        ),
        (
            {
                "cache": "miss",
                "reason": "prefix_changed",
                "detail": "byte 12,345, block 3: <b> became nothing",
                "diagnosed": {"cache_miss_reason": {"type": "messages_changed", "cache_missed_input_tokens": 9}},
                "read": 0,
                "saved_usd": -0.0986,
            },
            [
                "Byte 12,345, block 3: <b> became nothing",
                "The upstream’s own diagnosis: messages changed",
                "0 tokens read from the cache, $0.099 more than without it",
            ],
        ),
        ({"cache": "hit", "detail": None, "diagnosed": {"cache_miss_reason": None}, "read": None}, []),
    ],
)
def test_the_line_opens_on_more_of_why_and_on_what_its_numbers_count(
    modules: Page, verdict: dict[str, Any], lines: list[str]
) -> None:
    assert (
        modules.evaluate("async verdict => (await import('/static/js/verdict.js')).inFull(verdict)", verdict) == lines
    )


def test_dollars_have_two_digits_that_say_something_and_never_fewer_than_cents(modules: Page) -> None:
    amounts = [0, 0.00012345, 0.0254, 0.0996, 0.5, 0.9949, 0.998, 3.2, 1234.5]
    said = modules.evaluate("async a => a.map((await import('/static/js/numbers.js')).money)", amounts)
    assert said == ["$0.00", "$0.00012", "$0.025", "$0.10", "$0.50", "$0.99", "$1.00", "$3.20", "$1,234.50"]
