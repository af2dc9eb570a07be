"""Sites on this machine to fetch from, and a fetcher that may."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from app.contexts.drafts import InvalidDraft
from app.contexts.fetching import Fetcher
from app.prompt.context import AnyDocument

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def open_fetcher(**options: Any) -> Fetcher:
    """One that may reach this machine, as no server's does."""
    return Fetcher(permit=lambda address: address.is_loopback, ports=range(65536), **options)


@asynccontextmanager
async def site(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def page(body: str | bytes, kind: str = "text/html; charset=utf-8", **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        content = body.encode() if isinstance(body, str) else body
        return web.Response(body=content, headers={"Content-Type": kind, **headers})

    return answer


async def fetched(answer: Answer, path: str = "/") -> AnyDocument:
    async with site(answer) as url:
        return await open_fetcher().fetch(url + path, "documents.0.url")


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(InvalidDraft) as refused:
        await fetcher.fetch(url, "documents.3.url")
    assert refused.value.field == "documents.3.url"
    assert url in str(refused.value)
    return str(refused.value)
