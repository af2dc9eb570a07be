"""The short form of the chaos: `python -m bench.chaos` has the long one."""

from bench.chaos import run


def test_every_turn_ends_and_every_reader_has_every_event_whoever_dies_on_the_way() -> None:
    assert run("single", 12, 5, outage=False)
