"""The contexts that people can ask: added, listed, found by id or name, let go of."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.contexts.passages import Passage, passage, reading
from app.contexts.sample import SAMPLE_NAME, sample_context
from app.models import Model, find_model, offered_models, refusal
from app.prompt.context import Context, Document, InvalidContext, Parameters, Pdf, pages
from app.prompt.lint import lint_context
from app.prompt.parameters import check_pages, check_parameters
from app.prompt.render import read_document, render_fragments
from app.store.contexts import PUBLIC, Contexts, Full, StoredFragments

MAX_REQUEST_BYTES = 32_000_000
# Bytes of English or code per token, at the most: what is over the window even so is over it.
MOST_BYTES_PER_TOKEN = 4.0
KEEP_REPLACED_S = 24 * 60 * 60


class UnknownContext(LookupError):
    """There is no such context, or it is not the asker's: to them, it does not exist."""


class UnknownDocument(LookupError):
    """The context has no text of that number: it has fewer documents, or that one is a PDF."""


class ContextTooLarge(ValueError):
    """A context that no request could hold. The message says both numbers."""


class TooManyContexts(ValueError):
    """The owner has as many contexts as one may have."""


class TooManyBytes(ValueError):
    """The owner's contexts would have more bytes than they may have. The message says the numbers."""


@dataclass(frozen=True, slots=True)
class ContextView:
    """A stored context as it is shown to one owner. `bytes` are those of its documents, `pdf_bytes` and `pages` of its PDFs
    among them, `tokens` as the upstream counted."""

    id: str
    name: str
    public: bool
    parameters: Parameters
    bytes: int
    tokens: int | None
    instructions: str | None
    titles: tuple[tuple[str, int], ...]
    created_ms: int
    pages: int
    pdf_bytes: int
    warnings: tuple[dict[str, str], ...]


class Library:
    """The contexts of all owners, each of whom may have `most` of them with `most_bytes` in all; None: any number. In a
    store that is new, or was emptied, everyone has the sample context, asked with `sample_model`; None: there is none."""

    def __init__(
        self,
        contexts: Contexts,
        *,
        most: int | None = None,
        most_bytes: int | None = None,
        sample_model: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._contexts = contexts
        self._most = most
        self._most_bytes = most_bytes
        self._sample_model = sample_model
        self._clock = clock

    async def add(self, owner: str, name: str, context: Context) -> ContextView:
        """Store `context` as `owner`'s, under `name`; a context that had the name before is let go of.

        Raises `InvalidContext`, `ContextTooLarge`, `TooManyContexts` and `TooManyBytes`.
        """
        model = find_model(context.parameters.model)
        check_parameters(context.parameters, model)
        rendered = await asyncio.to_thread(render_fragments, context)
        check_pages(rendered.pages, model)
        check_size(len(rendered.system) + len(rendered.documents), context.parameters, model, rendered.pdf_bytes)
        about = await asyncio.to_thread(self._describe, context)
        fragments = StoredFragments(**asdict(rendered))
        identity = await asyncio.to_thread(lambda: context.id)
        most, most_bytes = (None, None) if owner == PUBLIC else (self._most, self._most_bytes)
        try:
            before = await self._contexts.put(identity, owner, name, about, fragments, most=most, most_bytes=most_bytes)
        except Full as full:
            raise _too_much(full, context.size, most_bytes) from None
        if before is not None and before not in (await self._contexts.names(owner)).values():
            # Conversations over it go on for a while, and a miss can still be explained by what changed.
            await self._contexts.release(before, owner, keep_s=KEEP_REPLACED_S)
        added = await self._view(name, identity, owner)
        if added is None:
            raise UnknownContext(name)
        return added

    async def add_sample_once(self) -> bool:
        """Add the sample context for everyone, the first time this store is used; who removes it is not given it again.
        Whether it was added now."""
        model = self._sample_model
        if model is None or not await self._contexts.claim_sample():
            return False
        await self.add(PUBLIC, SAMPLE_NAME, await asyncio.to_thread(sample_context, model))
        return True

    async def all(self, owner: str) -> list[ContextView]:
        """What `owner` can ask: everyone's contexts and their own, by name."""
        reachable = await self._reachable(owner)
        views = await asyncio.gather(*(self._view(name, context, whose) for whose, name, context in reachable))
        return sorted((view for view in views if view is not None), key=lambda view: (not view.public, view.name))

    async def names(self, owner: str) -> dict[str, str]:
        """What `owner` can ask, id → name, without looking into it."""
        return {context: name for _, name, context in reversed(await self._reachable(owner))}

    async def get(self, reference: str, owner: str) -> ContextView:
        """The context that `reference`, an id or a name, means to `owner`. Raises `UnknownContext`."""
        # An owner's own name wins over the same name of a public context.
        for whose, name, context in await self._reachable(owner):
            if reference in (context, name):
                view = await self._view(name, context, whose)
                if view is not None:
                    return view
        raise UnknownContext(reference)

    async def passage(self, context: str, number: int, start: int, end: int) -> Passage:
        """Characters `start` to `end` of the document of that `number`, from 0, and what is around them.

        Whoever may ask `context` may see this; that is the caller's to know. Raises `UnknownDocument`.
        """
        document = await self._document(context, number)
        if document is None:
            raise UnknownDocument(number)
        return passage(document, start, end)

    async def reading(self, context: ContextView, number: int, first_line: int, last_line: int) -> Passage:
        """Lines `first_line` to `last_line` of the document of that `number`, from 0, and what is around them; of a PDF,
        which is not kept as text, nothing but its title. Raises `UnknownDocument`.
        """
        if number >= len(context.titles):
            raise UnknownDocument(number)
        document = await self._document(context.id, number) or Document(context.titles[number][0], "")
        return await asyncio.to_thread(reading, document, first_line, last_line)

    async def remove(self, reference: str, owner: str, name: str | None = None) -> None:
        """Take a context from `owner`: one name of it, or, by its id, the context under all its names or `name` alone.

        Raises `UnknownContext`, also for a public context that is not theirs to take.
        """
        names = await self._contexts.names(owner)
        removed = {
            called: context
            for called, context in names.items()
            if reference in (called, context) and name in (None, called)
        }
        if not removed:
            raise UnknownContext(reference)
        await self._contexts.forget_names(owner, list(removed))
        kept = {context for called, context in names.items() if called not in removed}
        for context in set(removed.values()) - kept:
            await self._contexts.release(context, owner)

    async def _document(self, context: str, number: int) -> Document | None:
        stored = await self._contexts.fragments(context)
        return await asyncio.to_thread(read_document, stored.documents, number) if stored else None

    async def _reachable(self, owner: str) -> list[tuple[str, str, str]]:
        found = [
            (whose, name, context)
            for whose in dict.fromkeys((owner, PUBLIC))
            for name, context in (await self._contexts.names(whose)).items()
        ]
        # Nothing at all: Redis may have lost its data since we started.
        return found if found or not await self.add_sample_once() else await self._reachable(owner)

    async def _view(self, name: str, context: str, whose: str) -> ContextView | None:
        about = await self._contexts.about(context)
        if about is None:
            return None
        return ContextView(
            id=context,
            name=name,
            public=whose == PUBLIC,
            parameters=Parameters(**about["parameters"]),
            bytes=about["bytes"],
            tokens=about["tokens"],
            instructions=about["instructions"],
            titles=tuple((title, size) for title, size in about["titles"]),
            created_ms=about["created_ms"],
            pages=about.get("pages", 0),
            pdf_bytes=about.get("pdf_bytes", 0),
            warnings=tuple(about["warnings"]),
        )

    def _describe(self, context: Context) -> dict[str, Any]:
        return {
            "parameters": asdict(context.parameters),
            "bytes": context.size,
            "instructions": context.instructions,
            "titles": [(document.title, document.size) for document in context.documents],
            "created_ms": round(self._clock() * 1000),
            "pages": pages(context.documents),
            "pdf_bytes": sum(document.size for document in context.documents if isinstance(document, Pdf)),
            "warnings": [asdict(warning) for warning in lint_context(context)],
        }


def _too_much(full: Full, size: int, most_bytes: int | None) -> TooManyContexts | TooManyBytes:
    if full.what == "contexts":
        return TooManyContexts(
            f"you have {full.held} contexts, which is all you may; delete one before you add another"
        )
    return TooManyBytes(
        f"your contexts have {full.held:,} bytes and this one {size:,}; together they may have {most_bytes or 0:,}"
    )


def usable_model(view: ContextView) -> str:
    """The model that is asked about a context: its own, or where that may not be asked here (any more), the first that may
    and takes it as it is; the first of all, if none does."""
    if refusal(view.parameters.model) is None:
        return view.parameters.model
    offered = offered_models()
    return next((model for model in offered if _takes(model, view)), offered[0]).id


def _takes(model: Model, view: ContextView) -> bool:
    try:
        check_parameters(replace(view.parameters, model=model.id), model)
        check_pages(view.pages, model)
        check_size(view.bytes, view.parameters, model, view.pdf_bytes)
    except (InvalidContext, ContextTooLarge):
        return False
    return True


def check_size(size: int, parameters: Parameters, model: Model, pdf_bytes: int = 0) -> None:
    """Raise `ContextTooLarge` when `size` bytes of prompt are more than a request holds or `model` can read.

    How many tokens the `pdf_bytes` among them make, only the upstream can say.
    """
    if size > MAX_REQUEST_BYTES:
        raise ContextTooLarge(
            f"the context takes {size:,} bytes of a request; the Messages API takes {MAX_REQUEST_BYTES:,}"
        )
    tokens = round((size - pdf_bytes) / MOST_BYTES_PER_TOKEN)
    if model.context_window is not None and tokens + parameters.max_tokens > model.context_window:
        raise ContextTooLarge(
            f"the context is about {tokens:,} tokens, and an answer may take {parameters.max_tokens:,}; "
            f"{model.id} reads {model.context_window:,}"
        )
