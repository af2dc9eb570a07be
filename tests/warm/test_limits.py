"""What all processes share over a real Redis: buckets, the budget, the breaker, learned odds and the gaps between uses.

Redis's clock cannot be turned, so tests move what is stored back in time instead.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.store import keys
from app.store.connection import Store
from app.store.spending import Bucket, Reservation, Spending
from app.store.uses import Uses
from tests.running import RedisProcess

UPSTREAM = "upstream"
HOUR_S, DAY_S = 3_600, 86_400


@pytest.fixture
async def store(redis: RedisProcess) -> AsyncIterator[Store]:
    opened = Store(redis.url)
    yield opened
    await opened.close()


@pytest.fixture
def spending(store: Store) -> Spending:
    return Spending(store, UPSTREAM)


async def back(store: Store, key: str, field: str, seconds: float) -> None:
    """Make what `field` remembers `seconds` older."""
    then = float(await store.do("HGET", key, field))
    await store.do("HSET", key, field, f"{then - seconds:.6f}")


async def emptied(spending: Spending, bucket: Bucket) -> int:
    """Take until nothing is left; how many there were."""
    taken = 0
    while await spending.take(bucket):
        taken += 1
    return taken


def slow(name: str, capacity: int = 20, per_second: float = 1 / 15) -> Bucket:
    return Bucket(name, capacity, per_second)


async def test_a_bucket_gives_its_burst_and_then_nothing(spending: Spending) -> None:
    assert await emptied(spending, slow("session:s")) == 20
    assert not await spending.take(slow("session:s"))


async def test_a_bucket_refills_with_time_and_never_beyond_its_capacity(store: Store, spending: Spending) -> None:
    bucket = slow("session:s")
    await emptied(spending, bucket)
    await back(store, keys.bucket(bucket.name), "at", 14.9)
    assert await emptied(spending, bucket) == 0
    await back(store, keys.bucket(bucket.name), "at", 0.2)
    assert await emptied(spending, bucket) == 1
    await back(store, keys.bucket(bucket.name), "at", 45.0)
    assert await emptied(spending, bucket) == 3
    await back(store, keys.bucket(bucket.name), "at", 100_000)
    assert await emptied(spending, bucket) == 20


async def test_being_refused_costs_nothing(store: Store, spending: Spending) -> None:
    bucket = slow("session:s")
    await emptied(spending, bucket)
    for _ in range(50):
        await spending.take(bucket)
    await back(store, keys.bucket(bucket.name), "at", 15.0)
    assert await spending.take(bucket)


async def test_each_bucket_is_its_owners(spending: Spending) -> None:
    assert await emptied(spending, slow("session:one")) == 20
    assert await emptied(spending, slow("session:two")) == 20
    assert await emptied(spending, slow("address:127.0.0.1", 120, 1e-6)) == 120


async def test_a_bucket_gives_no_more_however_many_ask_at_once(spending: Spending) -> None:
    answers = await asyncio.gather(*(spending.take(slow("all", 100, 1e-6)) for _ in range(400)))
    assert sum(answers) == 100


async def test_a_bucket_that_is_full_again_is_forgotten(store: Store, spending: Spending) -> None:
    await spending.take(slow("session:s"))
    assert 300 <= await store.do("TTL", keys.bucket("session:s")) <= 302


async def reserve(spending: Spending, usd: float, hour: float = 10.0, day: float = 50.0) -> Reservation | None:
    return await spending.reserve(usd, per_hour_usd=hour, per_day_usd=day)


async def reserved(spending: Spending, usd: float) -> Reservation:
    reservation = await reserve(spending, usd)
    assert reservation is not None
    return reservation


async def test_many_at_once_reserve_to_the_micro_dollar_and_no_further(spending: Spending) -> None:
    tried = await asyncio.gather(*(reserve(spending, 0.000_007, hour=0.001) for _ in range(300)))
    assert sum(reservation is not None for reservation in tried) == 142
    assert await spending.spent() == (0.000_994, 0.000_994)
    assert await reserve(spending, 0.000_006, hour=0.001) is not None
    assert await spending.spent() == (0.001, 0.001)
    assert await reserve(spending, 0.000_000_1, hour=0.001) is None


async def test_many_tasks_that_reserve_and_settle_never_exceed_the_limit(spending: Spending) -> None:
    spent_most = 0.0
    paid = 0

    async def spend(number: int) -> None:
        nonlocal spent_most, paid
        for turn in range(6):
            reservation = await reserve(spending, 0.01, hour=0.2)
            spent_most = max(spent_most, (await spending.spent())[0])
            if reservation is not None:
                cost = ((number + turn) % 11) / 1_000
                paid += round(cost * 1_000)
                await spending.settle(reservation, cost)

    await asyncio.gather(*(spend(number) for number in range(40)))
    assert 0.01 < spent_most <= 0.2
    assert await spending.spent() == (paid / 1_000, paid / 1_000)
    assert paid <= 200


async def test_what_a_warm_did_not_cost_can_be_spent_again(spending: Spending) -> None:
    reservation = await reserved(spending, 9.0)
    assert await reserve(spending, 2.0) is None
    await spending.settle(reservation, 0.25)
    assert await spending.spent() == (0.25, 0.25)
    assert await reserve(spending, 9.75) is not None
    assert await reserve(spending, 0.000_001) is None


async def test_a_settlement_that_is_tried_again_gives_nothing_back_twice(spending: Spending) -> None:
    others = await reserved(spending, 5.0)
    reservation = await reserved(spending, 4.0)
    for _ in range(3):
        await spending.settle(reservation, 1.0)
    assert await spending.spent() == (6.0, 6.0)
    await spending.settle(others, 5.0)
    assert await spending.spent() == (6.0, 6.0)


async def test_a_process_that_dies_leaves_its_reservation_counted(spending: Spending) -> None:
    await reserved(spending, 10.0)
    assert await reserve(spending, 0.000_001) is None
    assert await spending.spent() == (10.0, 10.0)


async def test_a_warm_that_cost_more_than_was_set_aside_is_counted_in_full(spending: Spending) -> None:
    await spending.settle(await reserved(spending, 1.0), 2.5)
    assert await spending.spent() == (2.5, 2.5)


async def test_the_next_hour_has_its_own_budget_and_the_day_goes_on(store: Store, spending: Spending) -> None:
    late = await reserved(spending, 10.0)
    await store.do("HINCRBY", keys.budget(), "hour", -1)
    assert await spending.spent() == (0.0, 10.0)
    assert await reserve(spending, 10.0, day=19.0) is None
    await reserved(spending, 10.0)
    assert await spending.spent() == (10.0, 20.0)
    # What began in the hour before gives nothing back to this one, and does to the day.
    late = replace(late, hour=late.hour - 1)
    await spending.settle(late, 1.0)
    assert await spending.spent() == (10.0, 11.0)


async def test_the_next_day_has_its_own_budget(store: Store, spending: Spending) -> None:
    await reserved(spending, 10.0)
    await store.do("HINCRBY", keys.budget(), "hour", -1)
    await store.do("HINCRBY", keys.budget(), "day", -1)
    assert await spending.spent() == (0.0, 0.0)
    assert await reserve(spending, 10.0, day=10.0) is not None


async def test_nothing_may_be_spent_of_nothing(spending: Spending) -> None:
    assert await reserve(spending, 0.000_001, hour=0.0) is None
    assert await reserve(spending, 0.000_001, day=0.0) is None
    assert await spending.spent() == (0.0, 0.0)


async def test_all_upstreams_share_the_budget_and_each_has_a_breaker_of_its_own(
    store: Store, spending: Spending
) -> None:
    other = Spending(store, "another")
    await reserved(spending, 10.0)
    await spending.refused("upstream_auth", None)
    assert await other.spent() == (10.0, 10.0)
    assert await other.refusal() is None


async def rests_s(store: Store) -> float:
    """How long the breaker still rests."""
    (seconds, micros), until = await store.batch([("TIME",), ("HGET", keys.breaker(UPSTREAM), "until_ms")])
    return int(until) / 1_000 - int(seconds) - int(micros) / 1e6


async def test_the_breaker_rests_longer_with_each_refusal_and_at_most_five_minutes(
    store: Store, spending: Spending
) -> None:
    assert await spending.refusal() is None
    for pause in (5, 10, 20, 40, 80, 160, 300, 300):
        await spending.refused("upstream_overloaded", None)
        assert await spending.refusal() == "upstream_overloaded"
        assert await rests_s(store) == pytest.approx(pause, abs=1)
        await store.do("HSET", keys.breaker(UPSTREAM), "until_ms", "1")
        assert await spending.refusal() is None


async def test_the_breaker_rests_as_long_as_the_upstream_says(store: Store, spending: Spending) -> None:
    await spending.refused("upstream_rate_limited", 42_000)
    assert await rests_s(store) == pytest.approx(42, abs=1)


async def test_a_shorter_rest_does_not_end_a_longer_one(store: Store, spending: Spending) -> None:
    await spending.refused("upstream_rate_limited", 120_000)
    await spending.refused("upstream_overloaded", None)
    await spending.refused("upstream_rate_limited", 1_000)
    assert await rests_s(store) == pytest.approx(120, abs=1)


@pytest.mark.parametrize("pause_ms", [pytest.param(10**power, id=f"10^{power} ms") for power in (12, 30, 300)])
async def test_no_upstream_can_silence_warms_for_good(store: Store, spending: Spending, pause_ms: int) -> None:
    await spending.refused("upstream_rate_limited", pause_ms)
    assert 0 < await rests_s(store) <= DAY_S
    assert await store.do("PTTL", keys.breaker(UPSTREAM)) > 0


async def test_a_rest_of_nothing_is_none(spending: Spending) -> None:
    await spending.refused("upstream_rate_limited", 0)
    assert await spending.refusal() is None


async def test_an_answer_ends_the_rest_and_forgets_earlier_refusals(store: Store, spending: Spending) -> None:
    for _ in range(4):
        await spending.refused("upstream_overloaded", None)
    await spending.answered()
    assert await spending.refusal() is None
    await spending.refused("upstream_overloaded", None)
    assert await rests_s(store) == pytest.approx(5, abs=1)


async def test_warms_count_as_unused_until_a_question_uses_them(spending: Spending) -> None:
    assert await spending.odds("c", "focus") == (0.0, 0.0)
    await spending.learn("c", "focus", used=False)
    assert await spending.odds("c", "focus") == (0.0, 1.0)
    await spending.learn("c", "focus", used=True)
    assert await spending.odds("c", "focus") == (1.0, 0.0)
    assert await spending.odds("c", "keystroke") == await spending.odds("d", "focus") == (0.0, 0.0)


async def test_older_warms_fade_so_that_habits_can_change(spending: Spending) -> None:
    for _ in range(200):
        await spending.learn("c", "focus", used=False)
    asked, unused = await spending.odds("c", "focus")
    assert asked == 0.0
    # They fade by the second, too, if only a little.
    assert unused == pytest.approx((1 - 0.99**200) / 0.01, rel=1e-3)
    for _ in range(200):
        await spending.learn("c", "focus", used=False)
        await spending.learn("c", "focus", used=True)
    asked, unused = await spending.odds("c", "focus")
    assert asked > 5 * unused >= 0


async def test_counts_of_use_are_never_below_zero(spending: Spending) -> None:
    for _ in range(5):
        await spending.learn("c", "focus", used=True)
    assert await spending.odds("c", "focus") == (5.0, 0.0)


async def test_gaps_between_uses_are_sorted_by_their_length_and_fade(store: Store) -> None:
    uses = Uses(store)
    await uses.note("c")
    assert await uses.gaps("c") == (0.0, 0.0, 0.0)
    for seconds in (0, 299, 302, 3_599, 3_602, 90_000):
        await back(store, keys.uses("c"), "last", seconds)
        await uses.note("c")
    fade = 0.98
    assert await uses.gaps("c") == pytest.approx((fade**5 + fade**4, fade**3 + fade**2, fade + 1))


async def test_what_was_learned_of_a_context_that_nobody_uses_is_forgotten_one_day(
    store: Store, spending: Spending
) -> None:
    await spending.learn("c", "focus", used=False)
    await Uses(store).note("c")
    for key in (keys.odds("c"), keys.uses("c")):
        assert DAY_S < await store.do("TTL", key) <= 100 * DAY_S
