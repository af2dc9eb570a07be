"""How long what a page warmed still lives: five minutes or an hour, as its context's uses have it, less what has passed."""

from datetime import datetime

from playwright.sync_api import Page


def left_ms(page: Page, warmed: str) -> int:
    """What is left, by the page's own clock, to what the page asked the server to warm at the URL `warmed`."""
    expires = page.request.get(warmed.removesuffix("/warm")).json()["warm"]["expires_at"]
    return round(datetime.fromisoformat(expires).timestamp() * 1000 - float(page.evaluate("Date.now()")))
