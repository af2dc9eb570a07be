"""Wiring: settings to rooms, rooms to routes. Nothing else happens here."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

from app.access.apikeys import ApiKey, ApiKeys
from app.access.cookies import MAX_AGE_S, OwnerCookies
from app.access.limits import UNLIMITED, Allowance, OwnerLimits, Work
from app.contexts.fetching import Fetcher
from app.contexts.library import Library
from app.ledger.book import Ledger
from app.ledger.prices import load_prices
from app.ledger.vouching import Vouching
from app.models import set_local_models
from app.settings import Settings
from app.store.allowances import Allowances
from app.store.apikeys import StoredKeys
from app.store.connection import Store, StoreUnavailable
from app.store.contexts import Contexts
from app.store.cookies import Cookies
from app.store.ledger import LedgerStore
from app.store.listing import Listing
from app.store.sessions import Sessions
from app.store.spending import Spending
from app.store.turns import Turns
from app.store.upstreams import Capabilities
from app.store.uses import Uses
from app.store.warms import Warms
from app.turns.asking import Asking, FirstEvent
from app.turns.conversations import Conversations
from app.turns.finding import Finding
from app.turns.journal import Journal
from app.turns.linking import Linking
from app.turns.met import Met
from app.turns.problems import problem_of
from app.turns.rating import Ratings
from app.turns.retention import Retention
from app.turns.services import Services
from app.upstream.client import Upstream
from app.warm.changes import Changes
from app.warm.coordinator import Coordinator
from app.warm.expecting import Expecting
from app.warm.patience import Patience
from app.warm.prefixes import Prefixes
from app.warm.prospects import Prospects
from app.warm.running import Running
from app.warm.speculation import Limits, Speculation
from app.warm.state import warm_json
from app.warm.writer import Writer
from app.web import contexts, finding, linking, operations, pages, sessions, sift, turns
from app.web.admin import Admin
from app.web.description import DESCRIPTION, TAGS, DescribedApp, operation_id
from app.web.forwarded import ForwardedMiddleware
from app.web.guards import BodyLimitMiddleware, BugMiddleware, HeadersMiddleware
from app.web.hosts import HostMiddleware
from app.web.origins import CORS, CrossSiteMiddleware
from app.web.owners import CookieMiddleware, Visitors
from app.web.problems import PROBLEMS, answer_http, answer_invalid, answer_known, respond
from app.web.rendered import Rendered
from app.web.requests import RequestLogMiddleware
from app.web.rooms import Rooms
from app.web.templates import STATIC
from app.web.unchanging import Unchanging

log = logging.getLogger("headstart")

SAMPLE_WITHIN_S = 2.0
RETRY_S = 1.0


def create_app(
    settings: Settings, *, redis_url: str, base_url: str | None, api_key: str, fetcher: Fetcher | None = None
) -> FastAPI:
    """The application over a Redis and an upstream that are there already, or will be; `fetcher` is for tests."""
    prices = load_prices(settings.prices) if settings.prices else {}
    set_local_models(prices, named=[settings.model], usable=settings.usable_models)
    limited = settings.limits == "on"
    store = Store(redis_url)
    upstream = Upstream(base_url, api_key, timeout_s=settings.upstream_timeout_s, max_retries=settings.upstream_retries)
    stored_contexts, stored_sessions, stored_turns = Contexts(store), Sessions(store), Turns(store)
    listing = Listing(store)
    prefixes = Prefixes(stored_contexts, stored_sessions)
    ledger = Ledger(LedgerStore(store, upstream.identity), time.time)
    spending = Spending(store, upstream.identity)
    warms = Warms(store, upstream.identity)
    speculation = Speculation(spending, ledger, _limits(settings))
    running = Running()
    writer = Writer(
        prefixes=prefixes,
        contexts=stored_contexts,
        capabilities=Capabilities(store, upstream.identity),
        ledger=ledger,
        upstream=upstream,
        speculation=speculation,
        running=running,
    )
    prospects, uses = Prospects(warms), Uses(store)
    patience = Patience(ledger, prospects, settings.join_timeout_s)
    coordinator = Coordinator(
        warms=warms,
        writer=writer,
        ledger=ledger,
        speculation=speculation,
        uses=uses,
        prospects=prospects,
        patience=patience,
        running=running,
    )
    met = Met(stored_turns)
    retention = Retention(stored_sessions, met, settings.retention_days or None)
    conversations = Conversations(stored_sessions, stored_turns, prefixes, coordinator.lifetime, retention, met)
    services = Services(
        turns=stored_turns,
        sessions=stored_sessions,
        listing=listing,
        journal=Journal(stored_turns),
        met=met,
        coordinator=coordinator,
        expecting=Expecting(warms, Changes(stored_contexts, prefixes, warms, uses)),
        prefixes=prefixes,
        ledger=ledger,
        upstream=upstream,
        keep_journal_s=settings.journal_ttl_s,
        # Servers that are not Claude refuse fields that they do not know.
        diagnose=settings.notice["kind"] != "custom",
        max_attempts=settings.turn_attempts,
        stall_s=min(settings.upstream_stall_s, settings.upstream_timeout_s),
    )
    admin = Admin(settings.admin_key.get_secret_value() if settings.admin_key else None)
    asking = Asking(services, conversations.get, _first_event, unread_s=settings.unread_stop_s)
    rooms = Rooms(
        library=Library(
            stored_contexts,
            most=settings.owner_contexts if limited else None,
            most_bytes=settings.owner_bytes if limited else None,
            sample_model=settings.model,
        ),
        fetcher=(fetcher or Fetcher()) if settings.fetch_urls == "on" else None,
        conversations=conversations,
        finding=Finding(stored_sessions, listing, met),
        ratings=Ratings(services, asking.session_of),
        linking=Linking(stored_sessions, stored_turns),
        chat_pages=Unchanging(),
        shared_pages=Unchanging(),
        asking=asking,
        coordinator=coordinator,
        patience=patience,
        ledger=ledger,
        rendered=Rendered(stored_turns.of_session),
        notice=settings.notice,
        default_model=settings.model,
        max_question_chars=settings.max_question_chars,
        shares=settings.sharing == "on",
        check_store=store.check,
        spent=spending.spent,
        budget_usd=(settings.warm_usd_per_hour, settings.warm_usd_per_day) if limited else None,
        version=version("headstart"),
        admin=admin,
        visitors=Visitors(
            cookies=OwnerCookies(Cookies(store, MAX_AGE_S)),
            keys=ApiKeys(StoredKeys(store)),
            admin=admin,
            allowance=partial(_allowance, settings),
            login_header=settings.login_header,
        ),
        limits=OwnerLimits(
            Allowances(store),
            ledger,
            owners_per_address=settings.owners_per_address if limited else None,
            usd_per_day=settings.usd_per_day if limited and not settings.uses_sandbox else None,
        ),
    )

    vouching = Vouching(ledger)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        asking.start()
        vouching.start()
        retention.start()
        sample = asyncio.create_task(_add_sample(rooms))
        await asyncio.wait([sample], timeout=SAMPLE_WITHIN_S)
        yield
        sample.cancel()
        await asyncio.gather(asking.close(), coordinator.close())
        await vouching.close()
        await retention.close()
        await upstream.close()
        await store.close()

    app = DescribedApp(
        title="Headstart",
        version=rooms.version,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        servers=[{"url": "/", "description": "Where this document is."}],
        generate_unique_id_function=operation_id,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.rooms = rooms
    _add_routes(app, settings)
    _add_problems(app)
    return app


async def _add_sample(rooms: Rooms) -> None:
    """Add the sample context, as soon as Redis is there."""
    while True:
        try:
            await rooms.library.add_sample_once()
            return
        except StoreUnavailable:
            log.warning("Redis is away; trying again")
            await asyncio.sleep(RETRY_S)


def _limits(settings: Settings) -> Limits:
    return Limits(
        enabled=settings.warm == "on",
        limited=settings.limits == "on",
        per_hour_usd=settings.warm_usd_per_hour,
        per_day_usd=settings.warm_usd_per_day,
        value_of_second_usd=settings.value_of_second_usd,
    )


def _allowance(settings: Settings, key: ApiKey | None) -> Allowance:
    """What the owner of `key` may: what the key says, and no more; None: what everyone may."""
    if settings.limits == "off":
        return UNLIMITED
    usd_per_day = key.usd_per_day if key else settings.owner_usd_per_day
    return Allowance(
        sessions_per_day=None if key else settings.owner_sessions_per_day,
        turns_per_minute=key.turns_per_minute if key else settings.owner_turns_per_minute,
        open_streams=None if key else settings.owner_open_streams,
        per_hour={} if key else _work_per_hour(settings),
        # The sandbox's money is play money.
        usd_per_day=None if settings.uses_sandbox else usd_per_day,
    )


def _work_per_hour(settings: Settings) -> dict[Work, int]:
    return {
        Work.ADDING: settings.owner_contexts_per_hour,
        Work.FETCHING: settings.owner_urls_per_hour,
        Work.SIFTING: settings.owner_sifts_per_hour,
        Work.SEARCHING: settings.owner_searches_per_hour,
    }


def _first_event(event: FirstEvent) -> dict[str, object]:
    return {
        "turn": event.turn,
        "warm": warm_json(event.plan.record, event.session),
        "plan": event.plan.kind,
    }


def _add_routes(app: FastAPI, settings: Settings) -> None:
    for room in (contexts, sift, finding, linking, sessions, turns, operations, pages):
        app.include_router(room.router)
    app.include_router(linking.readers)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimitMiddleware)
    origins = settings.allowed_origins
    app.add_middleware(CookieMiddleware, origins=origins)
    app.add_middleware(CrossSiteMiddleware, allowed=origins)
    app.add_middleware(BugMiddleware)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, **CORS)
    if settings.known_hosts is not None:
        app.add_middleware(HostMiddleware, known=settings.known_hosts)
    app.add_middleware(RequestLogMiddleware)
    app.add_middleware(ForwardedMiddleware, trusted=settings.trusted_networks, login_header=settings.login_header)
    app.add_middleware(GZipMiddleware, minimum_size=500)
    app.add_middleware(HeadersMiddleware)


def _add_problems(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(StoreUnavailable, _answer_store_unavailable)
    for error in PROBLEMS:
        app.add_exception_handler(error, answer_known)


async def _answer_store_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    return respond(request, problem_of(error), {"Retry-After": "1"})
