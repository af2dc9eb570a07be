"""Which keys may be in Redis when every conversation was erased and nothing runs: each kind that `app/store/keys.py` names
has its fate here. A key that is of no kind, or outlives its fate, was leaked."""

from fnmatch import fnmatchcase

from app.access.cookies import MAX_AGE_S, OFFER_AGAIN_S
from app.access.limits import DAY_S
from app.store.ledger import DAYS_KEPT_S, HOURS_KEPT_S, OWNERS_KEPT_S, REMEMBER_MS
from app.store.spending import LONGEST_REST_MS
from app.store.warms import KEEP_MS
from app.turns.journal import TAILED_MS

MONTH_S = 30 * DAY_S

# What belongs to a conversation, to its owner, or to what runs; and what the chaos never makes.
GONE = (
    *("hs:{running}", "hs:{ledger}:open", "hs:{ledger}:vouched"),
    *("hs:{s_*}:session", "hs:{s_*}:transcript", "hs:{s_*}:ends", "hs:{s_*}:copies", "hs:{s_*}:turns"),
    *("hs:{s_*}:turn:t_*", "hs:{s_*}:journal:t_*"),
    *("hs:owner:{*}:sessions", "hs:owner:{*}:pinned", "hs:family:{*}", "hs:used:{*}"),
    *("hs:owner:{*}:contexts", "hs:owner:{*}:bytes", "hs:owner:{*}:replaced"),
    *("hs:keys", "hs:key:{*}", "hs:upstream:{*}", "hs:stops"),
)
# One each for the whole deployment, for a context that is still there, or for an upstream; their size is bounded.
STAYS = (
    *("hs:{running}:looked", "hs:sample", "hs:upstreams"),
    *(
        "hs:{c_*}:context",
        "hs:{c_*}:fragments",
        "hs:{c_*}:owners",
        "hs:owner:{public}:contexts",
        "hs:owner:{public}:bytes",
    ),
    *("hs:{ledger}:entries", "hs:{ledger}:unused", "hs:{ledger}:ends", "hs:{ledger}:total", "hs:{ledger}:pace:*"),
)
# Forgotten by itself: after at most so many seconds.
EXPIRES = {
    "hs:{s_*}:tailed:t_*": TAILED_MS / 1000,
    "hs:warm:{*}": KEEP_MS / 1000,
    "hs:bucket:{*}": DAY_S + 1,
    "hs:budget:{all}": 2 * DAY_S,
    "hs:budget:{all}:*": 2 * DAY_S,
    "hs:breaker:{*}": LONGEST_REST_MS / 1000 + 600,
    "hs:uses:{*}": MONTH_S,
    "hs:uses:{*}:prefixes": MONTH_S,
    "hs:odds:{*}": MONTH_S,
    "hs:cookie:{*}": MAX_AGE_S,
    "hs:cookie:{*}:offered": OFFER_AGAIN_S,
    "hs:owner:{*}:brought": DAY_S,
    "hs:{ledger}:seen:*": REMEMBER_MS / 1000,
    "hs:{ledger}:hour:*": HOURS_KEPT_S,
    "hs:{ledger}:day:*": DAYS_KEPT_S,
    "hs:{ledger}:context:*": DAYS_KEPT_S,
    "hs:{ledger}:owner:*": OWNERS_KEPT_S,
}


def kind_of(name: str) -> str | None:
    """The kind that a key is of; None when it is of none."""
    return next((kind for kind in (*STAYS, *EXPIRES, *GONE) if fnmatchcase(name, kind)), None)


def leaked(name: str, ttl_s: float | None) -> str | None:
    """Why a key that expires in `ttl_s` seconds (None: never) should not be there; None when it may."""
    kind = kind_of(name)
    if kind is None:
        return f"{name} is of no known kind"
    if kind in EXPIRES:
        late = ttl_s is None or ttl_s > EXPIRES[kind]
        return f"{name} expires in {ttl_s} s, and should within {EXPIRES[kind]:g}" if late else None
    return None if kind in STAYS else f"{name} is left"
