"""What the chat page costs its reader: the first paint and the bytes of a page that is opened with an empty cache, and how
much the page moves while it comes, empty and with a conversation, and while an answer streams into it, the list beside it.
In a real Chromium, over loopback. A page of one word is opened as often: what that takes is the browser's and the machine's.

    python -m bench.page [--short]

Passes when half of the first paints are within 100 ms, the page is under 90 kB, and the layout shift is under 0.02. Without
a Chromium, or without Playwright (requirements-dev.txt), nothing is measured, and that is said.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LOADS, FEW = 50, 15
GOAL_MS, GOAL_BYTES, GOAL_SHIFT = 100, 90_000, 0.02
SIZES = ((1280, 800), (390, 800))


def measured(browser: "Browser", count: int) -> bool:
    """Whether every goal was met; prints what was found."""
    from tests.browser.chat import Chat
    from tests.browser.painting import first_paint_ms, load, shifts_of_an_answer, shifts_of_loading
    from tests.browser.serving import headstart
    from tests.browser.writing import Writer
    from tests.recorder import recording

    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder, recording() as recorder:
        settings = {"ANTHROPIC_BASE_URL": recorder.url, "ANTHROPIC_API_KEY": "test", "HEADSTART_LIMITS": "off"}
        with headstart(Path(folder), **settings) as url:
            paints: list[float] = []
            words: list[float] = []
            for _ in range(count):
                for path, found in (("/", paints), ("/healthz", words)):
                    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
                        found.append(first_paint_ms(context.new_page(), url + path))
            with browser.new_context() as context:
                loaded = load(context.new_page(), url)
            shifts: list[tuple[str, int, float]] = []
            for width, height in SIZES:
                with browser.new_context(viewport={"width": width, "height": height}) as context:
                    chat = Chat(context.new_page(), url)
                    made = chat.add_context("Harbour", {"harbour.md": "Anna has 1200 tons. " * 200}, citations=True)
                    shifts.append(("a new page", width, shifts_of_loading(chat.page, f"{url}/?context={made}")))
                    shifts.append(("an answer", width, shifts_of_an_answer(chat, Writer(recorder))))
                    shifts.append(("a conversation that is opened", width, shifts_of_loading(chat.page, chat.page.url)))
    paints.sort()
    verdicts = (
        (
            f"first paint: median {median(paints):.0f} ms, p90 {paints[int(0.9 * count)]:.0f} ms of {count}, and of one word"
            f" {median(words):.0f} ms (goal: median within {GOAL_MS} ms)",
            median(paints) <= GOAL_MS,
        ),
        (
            f"the page: {loaded.bytes / 1000:.1f} kB in {len(loaded.addresses)} requests"
            f" (goal: under {GOAL_BYTES / 1000:.0f} kB)",
            loaded.bytes < GOAL_BYTES,
        ),
        *(
            (f"layout shift of {what}, {width} wide: {shift:.4f} (goal: under {GOAL_SHIFT})", shift < GOAL_SHIFT)
            for what, width, shift in shifts
        ),
    )
    for said, met in verdicts:
        print(f"{said}: {'PASS' if met else 'OVER'}", flush=True)
    return all(met for _, met in verdicts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help=f"{FEW} loads instead of {LOADS}")
    count = FEW if parser.parse_args().short else LOADS
    try:
        from playwright.sync_api import sync_playwright

        from tests.browser.conftest import ARGUMENTS, chromium
    except ModuleNotFoundError as missing:
        print(f"Nothing was measured: {missing.name} is missing, which requirements-dev.txt has.")
        return
    path = chromium()
    if path is None:
        print("Nothing was measured: there is no Chromium on this machine.")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        met = measured(browser, count)
        browser.close()
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
