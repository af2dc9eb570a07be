"""The clock by itself: it runs, stands, or leaps, wakes sleepers in order, and never goes back."""

import asyncio

import pytest

from app.sandbox.clock import Clock


async def test_a_frozen_clock_wakes_each_sleeper_when_its_moment_is_reached() -> None:
    clock = Clock("frozen", start=0)
    woken: list[int] = []

    async def sleep(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20)]
    await asyncio.sleep(0)
    for now, expected in ((9, []), (10, [10]), (25, [10, 20]), (100, [10, 20, 30])):
        clock.advance(now - clock.now())
        for _ in range(5):
            await asyncio.sleep(0)
        assert woken == expected
    await asyncio.gather(*tasks)
    assert clock.waiting == 0


async def test_a_leaping_clock_goes_to_the_nearest_moment_first_and_adds_nothing_up() -> None:
    clock = Clock("leap", start=0)
    woken: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.now()))

    await asyncio.gather(*(sleep(seconds) for seconds in (3600, 5, 60)))
    assert woken == [(5, 5), (60, 60), (3600, 3600)]


async def test_a_real_clock_runs_by_itself_and_can_be_advanced() -> None:
    clock = Clock()
    sleeping = asyncio.create_task(clock.sleep(1000))
    await asyncio.sleep(0)
    clock.advance(1001)
    await asyncio.wait_for(sleeping, 5)
    before = clock.now()
    await clock.sleep(0.001)
    assert clock.now() > before


async def test_freezing_holds_what_was_running() -> None:
    clock = Clock()
    sleeping = asyncio.create_task(clock.sleep(0.01))
    await asyncio.sleep(0)
    clock.set_mode("frozen")
    now = clock.now()
    done, _ = await asyncio.wait({sleeping}, timeout=0.05)
    assert not done
    assert clock.now() == now
    clock.set_mode("leap")
    await asyncio.wait_for(sleeping, 5)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = Clock("frozen")
    sleeping = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    sleeping.cancel()
    await asyncio.wait({sleeping})
    assert clock.waiting == 0


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_it_only_moves_forward_by_a_finite_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock("frozen").advance(seconds)
