"""One writer per prefix, under a crowd and under signals. Several server processes, one Redis, a recording upstream.

    python -m bench.single_flight [--short]

The crowd: 100 sessions over one context, 400 triggers within a second through 4 processes. Passes when the upstream saw
exactly one call, and every question after it is a hit.

The signals: the process that holds the lease is killed, or stopped and later continued, at every step of its warm. Passes
when there is at most one call more than without, nobody waits longer than the lease, and what the holder does when it
wakes changes nothing.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx2

from tests.client import Client
from tests.recorder import Exchange, Recorder, Respond, answer, recording
from tests.running import Process, RedisProcess, free_port, process

SESSIONS, TRIGGERS, SERVERS, ASKS = 100, 400, 4, 20
LEASE_S = 10.0
# What a question takes on top of its wait: noticing, and the cold call itself.
SLACK_S = 1.0
WARM_S = 0.3
CONTEXT = "asyncio"


@contextmanager
def server(redis: RedisProcess, upstream: Recorder, folder: Path) -> Iterator[Process]:
    port = free_port()
    environment = {
        "HEADSTART_REDIS_URL": redis.url,
        "ANTHROPIC_BASE_URL": upstream.url,
        "HEADSTART_LIMITS": "off",
        "HEADSTART_VALUE_OF_SECOND_USD": "1000000",
        "HEADSTART_PORT": str(port),
    }
    with process("serve", log=folder / f"server-{port}.log", **environment) as running:
        yield running


async def crowd(urls: list[str], upstream: Recorder) -> bool:
    """400 triggers within a second."""
    limits = httpx2.Limits(max_connections=50, max_keepalive_connections=50)
    async with Clients(urls, limits) as clients:
        sessions = [await _start(clients[number % len(clients)]) for number in range(SESSIONS)]
        began = time.perf_counter()
        late: list[float] = []

        async def trigger(number: int) -> str:
            await asyncio.sleep(max(0.0, began + number / TRIGGERS * 0.9 - time.perf_counter()))
            sent = time.perf_counter()
            session, cookie = sessions[number % SESSIONS]
            # A session's four triggers go through four processes.
            client = clients[(number // SESSIONS + number) % len(clients)]
            path = f"/api/sessions/{session}/warm"
            response = await client.post(path, json={"trigger": "focus"}, headers={"cookie": cookie})
            late.append(time.perf_counter() - sent)
            return str(response.json()["warm"]["state"])

        states = await asyncio.gather(*(trigger(number) for number in range(TRIGGERS)))
        took = time.perf_counter() - began
        print(
            f"{TRIGGERS} triggers from {SESSIONS} sessions through {len(urls)} processes, sent within 0.9 s and all answered"
            f" after {took:.2f} s (median {median(late) * 1000:.0f} ms each)"
        )
        print("states they were told: " + ", ".join(f"{states.count(one)} {one}" for one in sorted(set(states))))
        upstream.release()
        session, cookie = sessions[0]
        settled = await clients[0].post(
            f"/api/sessions/{session}/warm", json={"wait": True}, headers={"cookie": cookie}
        )
        assert settled.json()["warm"]["state"] == "warm", settled.text
        plans = [await _ask(clients[n % len(clients)], *sessions[n * (SESSIONS // ASKS)]) for n in range(ASKS)]
    warms = len(upstream.warms)
    passed = warms == 1 and set(plans) == {"hit"}
    print(
        f"upstream calls to warm: {warms} (goal: 1); questions after it: {plans.count('hit')} of {ASKS} hit: {_said(passed)}"
    )
    return passed


class Clients:
    """An asynchronous client for each of `urls`, closed together."""

    def __init__(self, urls: list[str], limits: httpx2.Limits) -> None:
        self._clients = [httpx2.AsyncClient(base_url=url, limits=limits, timeout=30) for url in urls]

    async def __aenter__(self) -> list[httpx2.AsyncClient]:
        return self._clients

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.aclose()


async def _start(client: httpx2.AsyncClient) -> tuple[str, str]:
    client.cookies.clear()
    response = await client.post("/api/sessions", json={"context": CONTEXT})
    cookie = "; ".join(f"{name}={value}" for name, value in response.cookies.items())
    client.cookies.clear()
    return response.json()["session"], cookie


async def _ask(client: httpx2.AsyncClient, session: str, cookie: str) -> str:
    path = f"/api/sessions/{session}/ask"
    response = await client.post(path, json={"question": "And now?"}, headers={"cookie": cookie})
    return "hit" if '"plan":"hit"' in response.text.replace(" ", "") else "not a hit"


@dataclass(frozen=True)
class Moment:
    """When the holder is struck: `after_s` its trigger was sent, or at a step of its upstream call."""

    name: str
    after_s: float | None = None
    on_arrival: bool = False
    on_answer: bool = False


MOMENTS = [
    *(Moment(f"{ms} ms after the trigger", after_s=ms / 1000) for ms in (0, 4, 8, 12, 16, 20, 24, 28, 35)),
    Moment("when the upstream has the request", on_arrival=True),
    Moment("while the upstream reads", after_s=WARM_S * 0.8),
    Moment("when the upstream has answered", on_answer=True),
    Moment("after the warm was settled", after_s=WARM_S + 0.5),
]
SHORT = [moment for moment in MOMENTS if moment.on_arrival]


class Scene:
    """One moment and one signal: a holder, a survivor, and a question that must not wait for long."""

    def __init__(self, redis: RedisProcess, upstream: Recorder, folder: Path) -> None:
        self._redis = redis
        self._upstream = upstream
        self._folder = folder

    def play(self, survivor: Process, moment: Moment, strike: signal.Signals) -> bool:
        with server(self._redis, self._upstream, self._folder) as holder:
            holder.wait_ready()
            with closing(httpx2.Client(base_url=survivor.url, timeout=60)) as http:
                return self._play(Client(http), holder, moment, strike)

    def _play(self, client: Client, holder: Process, moment: Moment, strike: signal.Signals) -> bool:
        before = len(self._upstream.exchanges)
        session = client.start(CONTEXT, isolation="session")["session"]
        struck = threading.Event()

        def hit() -> None:
            if not struck.is_set():
                holder.popen.send_signal(strike)
                struck.set()

        self._upstream.script.append(self._responder(moment, hit))
        threading.Thread(target=_trigger, args=(holder.url, session, dict(client.http.cookies)), daemon=True).start()
        if moment.after_s is not None:
            time.sleep(moment.after_s)
            hit()
        assert struck.wait(30), "the holder was never struck"
        began = time.perf_counter()
        events = client.ask(session, "Are you there?")
        waited = time.perf_counter() - began
        self._upstream.script.clear()
        stale = self._wakes_to_change(client, session, holder) if strike is signal.SIGSTOP else False
        calls = len(self._upstream.exchanges) - before
        ended = events[-1].name
        passed = ended == "verdict" and calls <= 3 and waited <= LEASE_S + SLACK_S and not stale
        print(
            f"{strike.name} {moment.name:<34} plan {events[0].data['plan']:<5} {calls} calls (2 undisturbed)"
            f"  waited {waited:5.2f} s  {'stale state' if stale else ended}: {_said(passed)}",
            flush=True,
        )
        return passed

    def _responder(self, moment: Moment, hit: Callable[[], None]) -> Respond:
        async def respond(exchange: Exchange) -> None:
            if moment.on_arrival and exchange.is_warm:
                hit()
            if exchange.is_warm:
                await asyncio.sleep(WARM_S)
            await answer(exchange)
            if moment.on_answer and exchange.is_warm:
                hit()

        return respond

    def _wakes_to_change(self, client: Client, session: str, holder: Process) -> bool:
        """Continue the holder; whether that changed what is known of the prefix that it was warming."""
        path = f"/api/sessions/{session}/fork"
        fork = client.http.post(path, json={"after_turn": 0}).raise_for_status().json()["session"]
        known = client.session(fork)["warm"]
        holder.popen.send_signal(signal.SIGCONT)
        with closing(httpx2.Client(base_url=holder.url, timeout=60, cookies=dict(client.http.cookies))) as http:
            # It takes part again, and whatever it had under way has time to end.
            assert Client(http).session(fork)["session"] == fork
            time.sleep(WARM_S + 1)
            seen = Client(http).session(fork)["warm"]
        after = client.session(fork)["warm"]
        changed = known["state"] != "warm" or not seen == known == after
        if changed:
            print(f"before it woke: {known}\nafter that, there: {seen}\nelsewhere: {after}")
        return changed


def _trigger(url: str, session: str, cookies: dict[str, str]) -> None:
    try:
        httpx2.post(f"{url}/api/sessions/{session}/warm", json={"trigger": "focus"}, cookies=cookies, timeout=60)
    except httpx2.HTTPError:
        # It was killed, or has been stopped for longer than anybody waits: that is the point.
        return


def _said(passed: bool) -> str:
    return "PASS" if passed else "OVER"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="strike at one moment only")
    moments = SHORT if parser.parse_args().short else MOMENTS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headstart-bench-")))
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        upstream = stack.enter_context(recording())
        servers = [stack.enter_context(server(redis, upstream, folder)) for _ in range(SERVERS)]
        for one in servers:
            one.wait_ready()

        async def slowly(exchange: Exchange) -> None:
            if exchange.is_warm:
                await exchange.released.wait()
            await answer(exchange)

        upstream.default = slowly
        results = [asyncio.run(crowd([one.url for one in servers], upstream))]
        upstream.default = answer
        scene = Scene(redis, upstream, folder)
        for strike in (signal.SIGKILL, signal.SIGSTOP):
            results += [scene.play(servers[0], moment, strike) for moment in moments]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
