"""What a warm would write: looked up from what is known of a session's earlier prefixes."""

from app.store.sessions import SessionRecord
from app.store.warms import WarmRecord, Warms, WarmState
from app.warm.policy import Prospect, foresee


class Prospects:
    """Looks at the warms of one upstream."""

    def __init__(self, warms: Warms) -> None:
        self._warms = warms

    async def of(self, session: SessionRecord, record: WarmRecord) -> Prospect:
        """What a warm of the current prefix, of which `record` is known, would write after the longest earlier one that
        should be cached."""
        earlier = await self._warms.get_all(list(session.digests[:-1]))
        sized = [(size, known) for size, (known, _) in zip(session.sizes, earlier, strict=False)]
        cached = [
            (size, known.tokens) for size, known in sized if known.state is WarmState.WARM and known.tokens is not None
        ]
        short = [
            (size, known.tokens_uncached)
            for size, known in sized
            if known.state is WarmState.SKIPPED and known.tokens_uncached is not None
        ]
        base_size, base_tokens = max(cached, default=(0, 0))
        live = record.state is WarmState.WARM
        return foresee(
            session.size,
            record.tokens,
            base_size,
            base_tokens,
            live=live,
            short=max(short, default=None),
            pdf_bytes=session.pdf_bytes,
            pages=session.pages,
        )
