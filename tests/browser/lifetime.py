"""How long what a page warmed lives: five minutes or an hour, as the context's uses so far have it."""

from datetime import datetime

from playwright.sync_api import Page


def lives_ms(page: Page, warmed: str) -> int:
    """The lifetime that the server gives to what the page asked it to warm at the URL `warmed`."""
    warm = page.request.get(warmed.removesuffix("/warm")).json()["warm"]
    started, expires = (datetime.fromisoformat(warm[name]) for name in ("started_at", "expires_at"))
    return round((expires - started).total_seconds() * 1000)
