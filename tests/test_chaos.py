"""The short form of the chaos: `python -m bench.chaos` has the long one. And what it takes for a leaked key."""

import inspect

import pytest

from app.access.limits import DAY_S
from app.store import keys
from bench.chaos import run
from bench.chaos_keys import EXPIRES, GONE, STAYS, kind_of, leaked

NO_KEYS = {"new_session_id", "new_turn_id", "turn_of_key", "share_of", "is_session_id", "session_of_turn", "trace"}
NO_KEYS |= {"new_link_secret", "link_id", "session_of_link"}
SESSION = keys.SESSION_PREFIX + "5" * 32
ARGUMENTS = {"session": SESSION, "turn": keys.TURN_PREFIX + "5" * 64, "context": "c_" + "0" * 40}


def every_key() -> dict[str, str]:
    """A key of each kind that the store has, by what names it there."""
    named = {name: value for name, value in vars(keys).items() if isinstance(value, str) and value.startswith("hs:")}
    for name, function in inspect.getmembers(keys, inspect.isfunction):
        if not name.startswith("_") and name not in NO_KEYS:
            named[name] = function(*(ARGUMENTS.get(one, one) for one in inspect.signature(function).parameters))
    return named


def test_every_turn_ends_and_every_reader_has_every_event_whoever_dies_on_the_way() -> None:
    assert run("single", 12, 5, outage=False)


def test_the_chaos_knows_each_kind_of_key_and_no_other() -> None:
    found = {name: kind_of(key) for name, key in every_key().items()}
    assert None not in found.values(), found
    public = {kind for kind in STAYS if "{public}" in kind}
    assert set(found.values()) == {*GONE, *STAYS, *EXPIRES} - public


@pytest.mark.parametrize(
    ("key", "ttl_s", "why"),
    [
        (keys.RUNNING, None, "is left"),
        (keys.journal(SESSION, ARGUMENTS["turn"]), 86_400.0, "is left"),
        (keys.reservation("1"), None, "expires in None s"),
        (keys.reservation("1"), 3.0 * DAY_S, "expires in 259200.0 s"),
        (keys.reservation("1"), 1.0 * DAY_S, None),
        (keys.LEDGER, None, None),
        ("hs:{something}:new", 1.0, "is of no known kind"),
    ],
)
def test_a_key_is_leaked_when_it_should_be_gone_or_would_stay_too_long(key: str, ttl_s: float | None, why: str) -> None:
    said = leaked(key, ttl_s)
    assert (said is None) == (why is None) and (why is None or why in str(said)), said
