"""Files that come to a page from outside: dropped on it, pasted into it."""

from pathlib import Path

from playwright.sync_api import Page


def drop(page: Page, *paths: Path) -> None:
    """A drop of files and folders of this machine, as the browser has them from the desktop."""
    wire = page.context.new_cdp_session(page)
    brought = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        wire.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": brought})


def bring(page: Page, event: str, name: str, content: str) -> None:
    """A drop on the page, or a paste into it, of one file."""
    page.evaluate(
        """([event, name, content]) => {
            const brought = new DataTransfer();
            brought.items.add(new File([content], name));
            const options = {bubbles: true, cancelable: true, dataTransfer: brought, clipboardData: brought};
            const made = event === 'paste' ? new ClipboardEvent(event, options) : new DragEvent(event, options);
            document.querySelector('#question').dispatchEvent(made);
        }""",
        [event, name, content],
    )
