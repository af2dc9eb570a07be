"""What a reader sees come and move: when the page's first words are painted, what came over the wire for it, and how much
of the page an answer moves while it streams. Measured by the browser itself."""

from typing import NamedTuple

from playwright.sync_api import Page, expect

from tests.browser.chat import Chat
from tests.browser.writing import Writer

ANSWER = """## The harbour

A paragraph with **bold** words and `code`, long enough to be written in a few pieces, each of which comes on its own.

| Ship | Tons |
|:-----|-----:|
| Anna | 1200 |
| Bela | 300 |

```python
def tons(ship: str) -> int:
    return {"Anna": 1200, "Bela": 300}[ship]
```

1. One
2. Two

"""
CITED = {"type": "char_location", "document_index": 0, "document_title": "harbour.md"}
SOURCE = {**CITED, "cited_text": "Anna has 1200 tons.", "start_char_index": 0, "end_char_index": 19}
PIECE = 40


# After this long a page has been painted, or the measurement is no use anyhow.
PAINTED_S = 0.6


class Loaded(NamedTuple):
    bytes: float
    """Of all responses, headers too, as they came over the wire."""
    addresses: list[str]


def load(page: Page, url: str) -> Loaded:
    """Open `url` in a page that has nothing of it in its cache, to its end."""
    received: list[float] = []
    addresses: list[str] = []
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(url, wait_until="networkidle")
    return Loaded(sum(received), addresses)


def first_paint_ms(page: Page, url: str) -> float:
    """When the first words of `url` are painted, in a page that has nothing of it in its cache. Nobody listens to the
    network meanwhile, or asks the page whether it is done: both take time from the page, some 15 ms of it on two cores."""
    page.goto(url, wait_until="commit")
    page.wait_for_timeout(PAINTED_S * 1000)
    return float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))


def shifts_of_loading(page: Page, url: str) -> float:
    """The layout shift from the first frame of `url` until everything of it has come."""
    page.goto(url, wait_until="networkidle")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return float(
        page.evaluate(
            """() => new Promise(done => new PerformanceObserver(list =>
                done(list.getEntries().reduce((sum, e) => sum + (e.value || 0), 0))
            ).observe({ type: 'layout-shift', buffered: true }) || setTimeout(() => done(0), 300))"""
        )
    )


def shifts_of_an_answer(chat: Chat, writer: Writer) -> float:
    """The layout shift, of whatever cause, from a question on the page to the end of its answer: thoughts, a table, code, a
    list and a source. 1 is the whole window moved by its whole height."""
    page = chat.page
    turn = chat.ask("Which ships are in the harbour?")
    page.evaluate(
        """() => {
            window.shifts = 0;
            window.watch = new PerformanceObserver(list => list.getEntries().forEach(e => { window.shifts += e.value; }));
            window.watch.observe({ type: 'layout-shift' });
        }"""
    )
    writer.think("First the ships, then their tons.")
    expect(turn).to_have_attribute("data-phase", "thinking")
    writer.finish()
    writer.begin({"type": "text", "text": ""})
    for at in range(0, len(ANSWER), PIECE):
        piece = ANSWER[at : at + PIECE]
        writer.write(piece)
        expect(turn.locator(".prose")).to_contain_text(piece.split()[-1].strip("#*`|:-'<>().{}[]\""))
    writer.finish()
    writer.say("Anna is the heaviest.", (SOURCE,))
    expect(turn.locator(".cite")).to_have_count(1)
    writer.end()
    chat.expect_state(turn, "done")
    expect(turn.locator(".stats")).to_be_visible()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return float(page.evaluate("window.shifts + window.watch.takeRecords().reduce((sum, e) => sum + e.value, 0)"))
