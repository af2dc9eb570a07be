"""`headstart bench ttft` end to end: what it prints and writes, what it says when it cannot; and the simulated day."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.cli import main
from bench.habits import PLACES, day
from bench.simulate import frontier, outcome, simulate, table
from bench.simulation import WAYS
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

TEXT = "The gearbox of model seven has five gears, and reverse is engaged by lifting the lever.\n"


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """A folder with something to ask about."""
    folder = tmp_path / "manual"
    folder.mkdir()
    (folder / "gears.txt").write_text(TEXT * 400)
    return folder


@pytest.fixture
def sandboxed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A user with nothing configured but a fast sandbox."""
    for name in [name for name in os.environ if name.startswith(("HEADSTART_", "ANTHROPIC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADSTART_SANDBOX_SPEED", "200")
    monkeypatch.setenv("HEADSTART_DATA_DIR", str(tmp_path / "data"))
    kept = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, kept)


def bench(*arguments: str) -> None:
    main(["bench", "ttft", *arguments])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that is said when the command cannot be carried out."""
    with pytest.raises(SystemExit) as ended:
        bench(*arguments)
    assert ended.value.code == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("headstart: ")
    return said


@pytest.mark.usefixtures("sandboxed")
def test_it_starts_what_it_needs_and_measures_a_stored_context_cold_waited_for_and_after_typing(
    capsys: pytest.CaptureFixture[str],
    manual: Path,
    tmp_path: Path,
    redis: RedisProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADSTART_REDIS_URL", redis.url)
    main(["contexts", "add", "the manual", str(manual)])
    kept = redis.say(b"DBSIZE")
    out = tmp_path / "ttft.json"
    bench("--context", "the manual", "--question", "Which gears?", "--runs", "2", "--typing", "0,25", "--out", str(out))
    printed = capsys.readouterr()
    assert "200× shorter; times are shown ×200" in printed.out
    assert "first text (TTFT)" in printed.out
    assert "[8/8] run 2, warm, 25 s of typing" in printed.err
    written = json.loads(out.read_text())
    assert written["context"]["name"] == "the manual"
    assert (written["runs"], written["typing_s"], written["speed"]) == (2, [0, 25], 200)
    assert [sample["kind"] for sample in written["samples"]] == ["cold", "yardstick", "typed", "typed"] * 2
    cold, hit, _, late = written["samples"][:4]
    assert (cold["plan"], hit["plan"], late["plan"]) == ("cold", "hit", "hit")
    assert cold["written"] == hit["read"] == late["read"] > 10_000
    assert all(0 < one["first_byte_s"] <= one["ttft_s"] <= one["total_s"] for one in written["samples"])
    assert written["spent_usd"] > 0
    assert [point["typing_s"] for point in written["summary"]["curve"]] == [0, 25]
    assert redis.say(b"DBSIZE") == kept, "what is measured leaves nothing with the user's own"


@pytest.mark.usefixtures("sandboxed")
def test_ctrl_c_ends_it_with_everything_that_it_started(manual: Path) -> None:
    # So many that it cannot have come to its end by itself, however busy the machine is.
    command = [sys.executable, "-m", "app.cli", "bench", "ttft", "--context", str(manual), "--runs", "100"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        assert running.stderr is not None
        said = iter(running.stderr.readline, b"")
        assert any(b"to the first text" in line for line in said)
        started = psutil.Process(running.pid).children(recursive=True)
        assert len(started) >= 3
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        assert b"Traceback" not in running.stderr.read()
        gone, alive = psutil.wait_procs(started, timeout=30)
    assert (len(gone), alive) == (len(started), [])


def test_a_running_server_is_measured_as_it_is(
    capsys: pytest.CaptureFixture[str], redis: RedisProcess, upstream: Recorder, manual: Path
) -> None:
    with serving(redis.url, upstream.url, sandbox="off") as url:
        bench("--url", url, "--context", str(manual), "--runs", "1", "--typing", "0")
    assert "× real speed" not in capsys.readouterr().out
    assert [exchange.is_warm for exchange in upstream.exchanges] == [False, True, False, True, False]
    openings = {exchange.body[:200] for exchange in upstream.exchanges}
    assert len(openings) == 3, "each measurement has a cache of its own, and its warm shares it"


def test_a_skipped_warm_is_said_and_not_passed_off_as_one(
    capsys: pytest.CaptureFixture[str], redis: RedisProcess, upstream: Recorder, manual: Path
) -> None:
    with serving(redis.url, upstream.url, value_of_second_usd=0) as url:
        bench("--url", url, "--context", str(manual), "--runs", "1", "--typing", "0")
    assert "Warms were skipped or failed (not_worth_it)" in capsys.readouterr().out
    assert not upstream.warms


def test_what_cannot_be_measured_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], server: str, tmp_path: Path
) -> None:
    assert "there is no context “nope” on that server; there are: asyncio" in refused(
        capsys, "--url", server, "--context", "nope"
    )
    assert "no Headstart answers at http://127.0.0.1:9" in refused(capsys, "--url", "http://127.0.0.1:9")
    assert "is not the URL of a server" in refused(capsys, "--url", "example")
    assert "end it in .svg or .png" in refused(capsys, "--picture", str(tmp_path / "curve.doc"))
    assert "there is no folder" in refused(capsys, "--out", str(tmp_path / "nowhere" / "x.json"))
    (tmp_path / "empty").mkdir()
    assert "there is no text file" in refused(capsys, "--context", str(tmp_path / "empty"))


@pytest.mark.parametrize(
    "arguments", [("--typing", "a"), ("--typing", "-1"), ("--typing", ""), ("--runs", "0"), ("--runs", "x")]
)
def test_numbers_that_are_none_are_refused_before_anything_is_started(arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench(*arguments)
    assert ended.value.code == 2


def test_a_picture_is_drawn_or_what_to_install_is_said(
    capsys: pytest.CaptureFixture[str], redis: RedisProcess, upstream: Recorder, manual: Path, tmp_path: Path
) -> None:
    path = tmp_path / "curve.svg"
    if find_spec("matplotlib") is None:
        assert "a picture needs matplotlib: pip install" in refused(capsys, "--picture", str(path))
        return
    with serving(redis.url, upstream.url) as url:
        bench("--url", url, "--context", str(manual), "--runs", "1", "--typing", "0", "--picture", str(path))
    assert "<svg" in path.read_text()


def test_the_same_seed_is_the_same_day_and_another_seed_another() -> None:
    assert day(3) == day(3) != day(4)
    assert [visit.at_s for visit in day(3)] == sorted(visit.at_s for visit in day(3))

    def told(seed: int) -> dict[str, Any]:
        return {name: outcome([tally]) for name, tally in simulate(seed).items()}

    assert told(3) == told(3) != told(4)


def test_on_a_simulated_day_headstart_is_on_or_below_the_frontier_of_the_others() -> None:
    days = [simulate(seed) for seed in range(1, 4)]
    outcomes = {name: outcome([one[name] for one in days]) for name in WAYS}
    mine = outcomes.pop("Headstart")
    assert mine.usd <= frontier([(one.usd, one.waiting_s) for one in outcomes.values()], mine.waiting_s)
    assert mine.total_usd <= min(one.total_usd for one in outcomes.values())


def test_every_way_answers_the_same_questions() -> None:
    one_place = simulate(5, PLACES[:1])
    assert len({len(tally.waits_s) for tally in one_place.values()}) == 1
    assert one_place["never"].warms == 0
    assert "Headstart" in table({name: outcome([tally]) for name, tally in one_place.items()})


def test_the_frontier_is_what_mixtures_of_ways_cost() -> None:
    ways = [(0.0, 100.0), (10.0, 0.0), (30.0, 0.0), (20.0, 50.0)]
    assert frontier(ways, 50.0) == 5.0
    assert frontier(ways, 0.0) == 10.0
    assert frontier(ways, 200.0) == 0.0
    assert frontier(ways, -1.0) == float("inf")
