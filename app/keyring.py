"""`headstart keys add | list | revoke`: what each does with the API keys, and what it prints."""

import argparse
from datetime import UTC, datetime

from app.access.apikeys import ApiKey, ApiKeys, NameTaken, UnknownKey
from app.refused import Refused

MAX_NAME_CHARS = 100


async def add(keys: ApiKeys, parsed: argparse.Namespace) -> None:
    """Make a key, and print its secret, alone on the first line. Raises `Refused`."""
    if not parsed.name.strip() or not parsed.name.isprintable() or len(parsed.name) > MAX_NAME_CHARS:
        raise Refused(f"a name has 1 to {MAX_NAME_CHARS} printable characters")
    try:
        key, secret = await keys.add(
            parsed.name, usd_per_day=parsed.usd_per_day, turns_per_minute=parsed.turns_per_minute
        )
    except NameTaken:
        raise Refused(f"there is a key “{parsed.name}” already; revoke it, or choose another name") from None
    print(secret)
    print(f"added {_line(key)}\nThis is the only time that the key is shown. Send it as “Authorization: Bearer …”.")


async def list_all(keys: ApiKeys) -> None:
    """One line for each key, without its secret, which nobody has."""
    for key in await keys.all():
        print(_line(key))


async def revoke(keys: ApiKeys, reference: str) -> None:
    """Have a key count no more. Raises `Refused`."""
    try:
        key = await keys.revoke(reference)
    except UnknownKey:
        known = ", ".join(key.name for key in await keys.all()) or "none"
        raise Refused(f"there is no key “{reference}”; there are: {known}") from None
    print(f"revoked {key.name}  {key.id}")


def _line(key: ApiKey) -> str:
    limits = [f"${key.usd_per_day:g} a day"] if key.usd_per_day is not None else []
    limits += [f"{key.turns_per_minute} questions a minute"] if key.turns_per_minute is not None else []
    used = "never used" if key.used_s is None else f"last used {_hour(key.used_s)}"
    return f"{key.name}  {key.id}  added {_hour(key.created_s)}, {used}, {', '.join(limits) or 'no limits of its own'}"


def _hour(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:00 UTC")
