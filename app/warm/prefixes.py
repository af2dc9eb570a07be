"""A session's prefix, put together from what is stored: the context's fragments and the transcript's bytes.

Fragments are immutable, so each process keeps those it used last in memory; a session's own bytes are always read.
"""

import asyncio
import hashlib
from collections import OrderedDict

from app.prompt.context import Parameters
from app.prompt.prefix import Begun, End, Transcript
from app.prompt.render import Fragments, render_opening
from app.store.contexts import Contexts
from app.store.sessions import SessionRecord, Sessions

KEPT_BYTES = 256 * 1024 * 1024
KEPT_BEGUN = 10_000


class ContextGone(LookupError):
    """The context that a session is over has been deleted."""


class Prefixes:
    """Transcripts of stored sessions."""

    def __init__(self, contexts: Contexts, sessions: Sessions) -> None:
        self._contexts = contexts
        self._sessions = sessions
        self._kept: OrderedDict[str, Fragments] = OrderedDict()
        self._begun: OrderedDict[tuple[str, bytes, str], Begun] = OrderedDict()

    async def of(self, session: SessionRecord) -> Transcript:
        """The transcript of `session` as it stands. Raises `ContextGone`."""
        parameters = Parameters(**session.parameters)
        opening, (turns, ends) = await asyncio.gather(
            self.opening(session.context, parameters, session.isolation), self._sessions.transcript(session.id)
        )
        ttl = session.parameters["ttl"]
        return Transcript(
            opening, turns, tuple(End(*end) for end in ends), ttl, self._begun_with(session.context, opening, ttl)
        )

    async def opening(self, context: str, parameters: Parameters, isolation: str | None) -> tuple[bytes, ...]:
        """What a session over `context` starts with. Raises `ContextGone`."""
        return render_opening(parameters, await self._fragments(context), isolation)

    async def pdfs(self, context: str) -> tuple[int, int]:
        """How many bytes of `context`'s fragments are PDFs, and their pages. Raises `ContextGone`."""
        fragments = await self._fragments(context)
        return fragments.pdf_bytes, fragments.pages

    def _begun_with(self, context: str, opening: tuple[bytes, ...], ttl: str) -> Begun:
        # What comes before a context's documents is short, and theirs never change.
        key = (context, hashlib.sha256(opening[0]).digest(), ttl)
        begun = self._begun.setdefault(key, Begun())
        self._begun.move_to_end(key)
        if len(self._begun) > KEPT_BEGUN:
            self._begun.popitem(last=False)
        return begun

    async def _fragments(self, context: str) -> Fragments:
        if not await self._contexts.exists(context):
            self._kept.pop(context, None)
            raise ContextGone(context)
        if context in self._kept:
            self._kept.move_to_end(context)
            return self._kept[context]
        stored = await self._contexts.fragments(context)
        if stored is None:
            raise ContextGone(context)
        fragments = self._kept[context] = Fragments(
            stored.system, stored.documents, stored.blocks, stored.pdf_bytes, stored.pages
        )
        while len(self._kept) > 1 and sum(len(kept.documents) for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return fragments
