"""Stored contexts: the rendered fragments once per content, and who calls them by which name.

`hs:{c}:context` holds what is said about a context, `hs:{c}:fragments` the bytes it contributes to a prompt, and
`hs:{c}:owners` who has it. Each owner has a hash from names to ids, and one from names to bytes. When the last owner lets
go, the bytes are erased.
"""

import json
from dataclasses import dataclass
from typing import Any

from app.store import keys
from app.store.connection import Store

PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class StoredFragments:
    """A context's rendered bytes, as `app.prompt.render` made them."""

    system: bytes
    documents: bytes
    blocks: int
    pdf_bytes: int = 0
    pages: int = 0


class Full(Exception):
    """An owner has as much as it may: `what` is "contexts" or "bytes", and there are `held` of them."""

    def __init__(self, what: str, held: int) -> None:
        super().__init__(what)
        self.what = what
        self.held = held


class Contexts:
    """The contexts in `store`. An owner is an owner's id, or `PUBLIC` for contexts that are everyone's to ask."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim_sample(self) -> bool:
        """True once in the life of this store: for whoever is to add the sample context."""
        return bool(await self._store.do("SET", keys.SAMPLE, 1, "NX"))

    async def put(
        self,
        context: str,
        owner: str,
        name: str,
        about: dict[str, Any],
        fragments: StoredFragments,
        *,
        most: int | None = None,
        most_bytes: int | None = None,
    ) -> str | None:
        """Store `context` under `name` for `owner`; answers the id that the name had before, if it was another.

        Raises `Full` when the owner would have more than `most` contexts, or more than `most_bytes` in them.
        """
        await self._store.together(
            [
                ("HSET", keys.context(context), "about", json.dumps(about)),
                (
                    *("HSET", keys.fragments(context), "system", fragments.system),
                    *("documents", fragments.documents, "blocks", fragments.blocks),
                    *("pdf_bytes", fragments.pdf_bytes, "pages", fragments.pages),
                ),
                ("SADD", keys.context_owners(context), owner),
                # It may have been let go of before, and be about to be erased.
                ("PERSIST", keys.context_owners(context)),
                ("PERSIST", keys.context(context)),
                ("PERSIST", keys.fragments(context)),
            ]
        )
        limits = [-1 if limit is None else limit for limit in (most, most_bytes)]
        answer = await self._store.run("name_context", _named(owner), [name, context, about["bytes"], *limits])
        full: bytes = answer[0]
        if full:
            if context not in (await self.names(owner)).values():
                await self.release(context, owner)
            raise Full(full.decode(), int(answer[1]))
        before: bytes | None = answer[1]
        if before is None or before.decode() == context:
            return None
        await self._store.do("HSET", keys.replaced_by(owner), context, before)
        return before.decode()

    async def replaced(self, context: str, owner: str) -> str | None:
        """The context that `owner` had under `context`'s name before it. Another's former texts are nobody else's."""
        before: bytes | None = await self._store.do("HGET", keys.replaced_by(owner), context)
        return before.decode() if before is not None else None

    async def names(self, owner: str) -> dict[str, str]:
        """What `owner` calls its contexts: name → id."""
        answer = await self._store.do("HGETALL", keys.contexts_of(owner))
        return {name.decode(): context.decode() for name, context in answer.items()}

    async def about(self, context: str) -> dict[str, Any] | None:
        """What was said about `context` when it was stored; None when it is gone."""
        answer, tokens = await self._store.do("HMGET", keys.context(context), "about", "tokens")
        if answer is None:
            return None
        about: dict[str, Any] = json.loads(answer)
        return about | {"tokens": int(tokens) if tokens else None}

    async def exists(self, context: str) -> bool:
        """Whether `context` is still there."""
        return bool(await self._store.do("EXISTS", keys.fragments(context)))

    async def fragments(self, context: str) -> StoredFragments | None:
        """The rendered bytes of `context`; None when it is gone."""
        system, documents, *counts = await self._store.do(
            "HMGET", keys.fragments(context), "system", "documents", "blocks", "pdf_bytes", "pages"
        )
        return None if documents is None else StoredFragments(system, documents, *(int(count or 0) for count in counts))

    async def learn_tokens(self, context: str, tokens: int) -> None:
        """Keep the size that the upstream counted for `context`'s prefix, unless the context is gone."""
        await self._store.run("learn_tokens", [keys.context(context)], [tokens])

    async def forget_names(self, owner: str, names: list[str]) -> None:
        """`owner` no longer calls anything by these `names`."""
        await self._store.together([("HDEL", key, *names) for key in _named(owner)])

    async def release(self, context: str, owner: str, *, keep_s: int = 0) -> None:
        """`owner` no longer has `context` under any name: erase its bytes when nobody else has it, after `keep_s`."""
        held = [keys.context_owners(context), keys.context(context), keys.fragments(context)]
        await self._store.run("release_context", held, [owner, keep_s])


def _named(owner: str) -> list[str]:
    return [keys.contexts_of(owner), keys.bytes_of(owner)]
