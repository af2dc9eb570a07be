"""`headstart doctor`: what the server would find, in plain words."""

from dataclasses import dataclass

from app.contexts.library import Library
from app.models import MODELS
from app.processes import CannotStart, redis_server
from app.settings import Settings
from app.store.connection import Store, StoreUnavailable
from app.store.contexts import PUBLIC, Contexts
from app.upstream.client import Upstream
from app.upstream.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, whether it is well, and what to say about it."""

    good: bool
    said: str


async def examine(settings: Settings, redis_url: str) -> list[Finding]:
    """Look at everything the server needs. Spends nothing."""
    store = Store(redis_url)
    try:
        return [
            _model(settings),
            await _upstream(settings),
            await _redis(settings, store),
            *await _contexts(store),
        ]
    finally:
        await store.close()


def _model(settings: Settings) -> Finding:
    if settings.model in MODELS:
        return Finding(True, f"model: {settings.model}")
    return Finding(True, f"model: {settings.model}, of which nothing is known here: no prices, no sizes")


async def _upstream(settings: Settings) -> Finding:
    label = settings.notice["label"]
    if settings.uses_sandbox:
        return Finding(True, f"upstream: {label}, started by serve. {settings.notice['hint']}")
    key = settings.anthropic_api_key.get_secret_value() if settings.anthropic_api_key else "none"
    upstream = Upstream(settings.anthropic_base_url, key, timeout_s=10, max_retries=0)
    try:
        await upstream.check()
    except UpstreamError as error:
        return Finding(False, f"upstream: {label}: {error.detail}")
    finally:
        await upstream.close()
    return Finding(True, f"upstream: {label}, takes the key")


async def _redis(settings: Settings, store: Store) -> Finding:
    name: str = store.kind
    if settings.redis_url is None:
        try:
            name = f"embedded ({redis_server()}), data in {settings.data_dir}"
        except CannotStart as error:
            return Finding(False, f"Redis: {error}")
    try:
        await store.check()
    except StoreUnavailable as error:
        return Finding(False, f"Redis: {name}: {error}")
    return Finding(True, f"Redis: {name}, answers")


async def _contexts(store: Store) -> list[Finding]:
    try:
        views = await Library(Contexts(store)).all(PUBLIC)
    except StoreUnavailable:
        return []
    return [
        Finding(
            not view.warnings,
            "; ".join([f"context {view.name}", *(f"{w['place']} {w['what']}" for w in view.warnings)]),
        )
        for view in views
    ]
