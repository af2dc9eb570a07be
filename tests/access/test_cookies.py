"""Owner cookies over their life: young, replaced, copied, lost. Time is passed in."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from app.access.cookies import MAX_AGE_S, OVERLAP_S, ROTATE_S, OwnerCookies
from app.store.connection import Store
from app.store.cookies import Cookies
from tests.running import RedisProcess


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(redis: RedisProcess) -> AsyncIterator[Store]:
    opened = Store(redis.url)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cookies(store: Store, clock: Clock) -> OwnerCookies:
    return OwnerCookies(Cookies(store, MAX_AGE_S), clock)


async def newcomer(cookies: OwnerCookies) -> tuple[str, str]:
    visit = await cookies.visit(None)
    assert visit.value is not None
    return visit.owner, visit.value


async def replaced(cookies: OwnerCookies, clock: Clock, value: str) -> str:
    """The value that a visit after `ROTATE_S` is handed."""
    clock.now += ROTATE_S
    visit = await cookies.visit(value)
    assert visit.value is not None
    assert visit.value != value
    return visit.value


async def test_who_only_looks_leaves_nothing_behind(cookies: OwnerCookies, redis: RedisProcess) -> None:
    owner, value = await newcomer(cookies)
    assert await cookies.visit(value) == await cookies.visit(value)
    assert (await cookies.visit(value)).owner == owner
    assert (await cookies.visit(value)).value is None
    assert redis.named() == []


async def test_an_owner_stays_the_same_through_many_values(cookies: OwnerCookies, clock: Clock) -> None:
    owner, value = await newcomer(cookies)
    seen = {value}
    for _ in range(5):
        value = await replaced(cookies, clock, value)
        seen.add(value)
        for _ in range(2):
            visit = await cookies.visit(value)
            assert (visit.owner, visit.value) == (owner, None)
    assert len(seen) == 6


async def test_a_value_counts_until_its_successor_came_back_and_a_little_longer(
    cookies: OwnerCookies, clock: Clock, redis: RedisProcess
) -> None:
    owner, old = await newcomer(cookies)
    new = await replaced(cookies, clock, old)
    # The answer that carried the new value may have been lost: the old one counts as long as it takes.
    clock.now += 10 * ROTATE_S
    (offered,) = redis.named("hs:cookie:*:offered")
    assert redis.say(f"DEL {offered}".encode()) == b":1\r\n"
    again = await cookies.visit(old)
    assert again.owner == owner
    assert again.value not in (None, new)
    assert (await cookies.visit(again.value)).owner == owner
    clock.now += OVERLAP_S - 1
    visit = await cookies.visit(old)
    assert (visit.owner, visit.value) == (owner, None)
    clock.now += 1
    assert (await cookies.visit(old)).owner != owner
    # The value that was lost on its way died with the one it was to replace.
    assert (await cookies.visit(new)).owner != owner
    assert (await cookies.visit(again.value)).owner == owner


async def test_a_copy_does_not_outlive_the_next_value_in_any_process(
    store: Store, cookies: OwnerCookies, clock: Clock
) -> None:
    owner, copied = await newcomer(cookies)
    new = await replaced(cookies, clock, copied)
    elsewhere = OwnerCookies(Cookies(store, MAX_AGE_S), clock)
    assert (await elsewhere.visit(new)).owner == owner
    clock.now += OVERLAP_S
    for process in (cookies, elsewhere, OwnerCookies(Cookies(store, MAX_AGE_S), clock)):
        thief = await process.visit(copied)
        assert thief.owner != owner
        assert thief.value is not None
    newer = await replaced(cookies, clock, new)
    assert (await elsewhere.visit(newer)).owner == owner
    clock.now += OVERLAP_S
    assert (await elsewhere.visit(new)).owner != owner


async def test_requests_at_once_are_handed_one_value(cookies: OwnerCookies, clock: Clock) -> None:
    owner, value = await newcomer(cookies)
    clock.now += ROTATE_S
    visits = [await cookies.visit(value) for _ in range(5)]
    assert {visit.owner for visit in visits} == {owner}
    assert [visit.value is not None for visit in visits] == [True, False, False, False, False]


async def test_what_is_none_of_ours_makes_a_newcomer(cookies: OwnerCookies, clock: Clock) -> None:
    owner, value = await newcomer(cookies)
    older = f"n{int(clock.now) - 1:08x}{value[9:]}"
    ahead = f"n{int(clock.now) + 90_000:08x}{value[9:]}"
    made_up = f"r{int(clock.now):08x}{secrets.token_urlsafe(32)}"
    for other in ("", "x", older, ahead, made_up, "r" + value[1:], value + "A", value.upper(), "n" + "f" * 51):
        visit = await cookies.visit(other)
        assert visit.owner != owner
        assert other == older or visit.value is not None
    clock.now += MAX_AGE_S + 1
    assert (await cookies.visit(value)).owner != owner


async def test_redis_never_sees_a_value(cookies: OwnerCookies, clock: Clock, redis: RedisProcess) -> None:
    _, value = await newcomer(cookies)
    values = [value]
    for _ in range(3):
        values.append(await replaced(cookies, clock, values[-1]))
        await cookies.visit(values[-1])
    dump = redis.dump()
    assert "successor" in dump
    assert not [one for one in values if one in dump or one[9:] in dump]
