"""Every Redis key, in one place.

Keys that one script touches carry the same hash tag (the part in braces), so that they live in one slot of a cluster:
a session, its transcript and its turns share the session's; a turn's id begins with its session's random part, so the
one leads to the other.
"""

import hashlib
import secrets

SESSION_PREFIX = "s_"
TURN_PREFIX = "t_"
LINK_PREFIX = "l_"
_RANDOM_BYTES = 16
_RANDOM_DIGITS = 2 * _RANDOM_BYTES

RUNNING = "hs:{running}"
LOOKED = "hs:{running}:looked"
STOPS = "hs:stops"
SAMPLE = "hs:sample"
API_KEYS = "hs:keys"
UPSTREAMS = "hs:upstreams"
# All sessions together are too many for one key, and for one server.
SHARES = tuple(f"{number:02x}" for number in range(256))
LEDGER = "hs:{ledger}:entries"
LEDGER_UNUSED = "hs:{ledger}:unused"
LEDGER_ENDS = "hs:{ledger}:ends"
LEDGER_OPEN = "hs:{ledger}:open"
LEDGER_VOUCHED = "hs:{ledger}:vouched"


def new_session_id() -> str:
    """An unguessable id: 128 random bits."""
    return SESSION_PREFIX + secrets.token_hex(_RANDOM_BYTES)


def new_turn_id(session: str) -> str:
    """An unguessable id that leads back to its session: its 128 random bits and 128 more."""
    return TURN_PREFIX + session.removeprefix(SESSION_PREFIX) + secrets.token_hex(_RANDOM_BYTES)


def turn_of_key(session: str, key: str) -> str:
    """The id of the turn that a question asked in `session` under a `key` of the asker's is, however often it is sent."""
    own = hashlib.sha256(f"{session} {key}".encode()).hexdigest()[:_RANDOM_DIGITS]
    return TURN_PREFIX + session.removeprefix(SESSION_PREFIX) + own


def new_link_secret() -> str:
    """What only who has a link knows: 128 random bits."""
    return secrets.token_hex(_RANDOM_BYTES)


def link_id(session: str, secret: str) -> str:
    """A link's id, which leads to its session."""
    return LINK_PREFIX + session.removeprefix(SESSION_PREFIX) + secret


def session_of_link(link: str) -> str | None:
    """The session a link leads to; None when it is no link at all."""
    return _session_in(link, LINK_PREFIX)


def share_of(session: str) -> str:
    """Which of the `SHARES` of all sessions `session` belongs to."""
    return session.removeprefix(SESSION_PREFIX)[:2]


def is_session_id(text: str) -> bool:
    return text.startswith(SESSION_PREFIX) and _is_hex(text[len(SESSION_PREFIX) :], _RANDOM_DIGITS)


def session_of_turn(turn: str) -> str | None:
    """The session a turn id leads to; None when it is no turn id at all."""
    return _session_in(turn, TURN_PREFIX)


def _session_in(id: str, prefix: str) -> str | None:
    digits = id.removeprefix(prefix)
    if digits == id or not _is_hex(digits, 2 * _RANDOM_DIGITS):
        return None
    return SESSION_PREFIX + digits[:_RANDOM_DIGITS]


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and not set(text) - set("0123456789abcdef")


def trace(id: str) -> str:
    """What stands for an id and leads nowhere: it may outlive what was erased."""
    return hashlib.sha256(id.encode()).hexdigest()[:_RANDOM_DIGITS]


def session(session: str) -> str:
    return f"hs:{{{session}}}:session"


def transcript(session: str) -> str:
    return f"hs:{{{session}}}:transcript"


def ends(session: str) -> str:
    return f"hs:{{{session}}}:ends"


def copies(session: str) -> str:
    return f"hs:{{{session}}}:copies"


def turn_list(session: str) -> str:
    return f"hs:{{{session}}}:turns"


def turn(session: str, turn: str) -> str:
    return f"hs:{{{session}}}:turn:{turn}"


def tailed(session: str, turn: str) -> str:
    return f"hs:{{{session}}}:tailed:{turn}"


def journal(session: str, turn: str) -> str:
    return f"hs:{{{session}}}:journal:{turn}"


def api_key(hash: str) -> str:
    return f"hs:key:{{{hash}}}"


def cookie(hash: str) -> str:
    return f"hs:cookie:{{{hash}}}"


def cookie_offered(hash: str) -> str:
    return f"hs:cookie:{{{hash}}}:offered"


def context(context: str) -> str:
    return f"hs:{{{context}}}:context"


def fragments(context: str) -> str:
    return f"hs:{{{context}}}:fragments"


def context_owners(context: str) -> str:
    return f"hs:{{{context}}}:owners"


def contexts_of(owner: str) -> str:
    return f"hs:owner:{{{owner}}}:contexts"


def sessions_of(owner: str) -> str:
    return f"hs:owner:{{{owner}}}:sessions"


def pinned_of(owner: str) -> str:
    return f"hs:owner:{{{owner}}}:pinned"


def family(family: str) -> str:
    return f"hs:family:{{{family}}}"


def used(share: str) -> str:
    return f"hs:used:{{{share}}}"


def bytes_of(owner: str) -> str:
    return f"hs:owner:{{{owner}}}:bytes"


def brought(owner: str) -> str:
    return f"hs:owner:{{{owner}}}:brought"


def replaced_by(owner: str) -> str:
    return f"hs:owner:{{{owner}}}:replaced"


def warm(upstream: str, digest: str) -> str:
    return f"hs:warm:{{{upstream}:{digest}}}"


def bucket(name: str) -> str:
    return f"hs:bucket:{{{name}}}"


def budget() -> str:
    # One for the deployment: money is the same whichever key or address it goes to.
    return "hs:budget:{all}"


def reservation(id: str) -> str:
    return f"hs:budget:{{all}}:{id}"


def breaker(upstream: str) -> str:
    return f"hs:breaker:{{{upstream}}}"


def uses(context: str) -> str:
    return f"hs:uses:{{{context}}}"


def prefixes(context: str) -> str:
    return f"hs:uses:{{{context}}}:prefixes"


def odds(context: str) -> str:
    return f"hs:odds:{{{context}}}"


def ledger_seen(entry: str) -> str:
    # Hashed: what is erased leaves no id behind that could be read off a key.
    return f"hs:{{ledger}}:seen:{hashlib.sha256(entry.encode()).hexdigest()[:32]}"


def ledger_total() -> str:
    return "hs:{ledger}:total"


def ledger_hour(hour: str) -> str:
    return f"hs:{{ledger}}:hour:{hour}"


def ledger_day(day: str) -> str:
    return f"hs:{{ledger}}:day:{day}"


def ledger_context(context: str) -> str:
    return f"hs:{{ledger}}:context:{context}"


def ledger_owner(owner: str, day: str) -> str:
    return f"hs:{{ledger}}:owner:{owner}:{day}"


def pace(upstream: str, model: str) -> str:
    return f"hs:{{ledger}}:pace:{upstream}:{model}"


def capabilities(upstream: str) -> str:
    return f"hs:upstream:{{{upstream}}}"
