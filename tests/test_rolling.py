"""Several servers behind a balancer that sticks to nothing, and a deploy in the middle of everybody's answers: new servers
come, old ones are told to end, one after the other, and no client sees an error or an answer with a hole."""

import asyncio
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.serving import CLOSE_S
from tests.balancer import Address, Balancer, address, nginx
from tests.client import Client, Event, events
from tests.needed import needs_nginx
from tests.recorder import END, Exchange, Recorder, answer, held, message_start, text_events
from tests.running import Process, RedisProcess, free_port, server, serving, until
from tests.test_attempts import text_of

WORDS = "".join(f"word {number}, " for number in range(40))
# Some answers end by themselves while a server drains, others are handed over.
DRAIN_S = "0.5"
EVERY_S = 0.03
READERS = 3


async def slowly(exchange: Exchange) -> None:
    """An answer of more than a second, word by word. A warm takes as long."""
    if exchange.is_warm:
        await asyncio.sleep(40 * EVERY_S)
        await answer(exchange)
        return
    await exchange.start_stream()
    for data in (message_start(exchange.number), *text_events(WORDS, pieces=40), *END):
        await exchange.event(data)
        await asyncio.sleep(EVERY_S)
    await exchange.end_stream()


@contextmanager
def own_balancer(_: Path, servers: list[Address]) -> Iterator[str]:
    with Balancer(servers).listening() as balancer:
        yield balancer.url


class Fleet:
    """Servers over one Redis, which come and go, on one port of several loopback addresses."""

    def __init__(self, folder: Path, redis: RedisProcess, upstream: Recorder) -> None:
        self._folder = folder
        self._given = {"HEADSTART_REDIS_URL": redis.url, "ANTHROPIC_BASE_URL": upstream.url}
        self._port = free_port()
        self._running: list[tuple[Address, Process]] = []
        self.servers: list[Address] = []
        self.stack = ExitStack()

    def start(self) -> None:
        """Two servers, known to the balancer, and one that is not yet. All are ready."""
        self._running = [self._started(number) for number in (1, 2, 3)]
        for _, running in self._running:
            running.wait_ready()
        self.servers += [where for where, _ in self._running[:2]]

    def _started(self, number: int) -> tuple[Address, Process]:
        host = f"127.0.0.{number}"
        environment = {
            **self._given,
            "ANTHROPIC_API_KEY": "sk-test-key",
            "HEADSTART_LIMITS": "off",
            "HEADSTART_DRAIN_S": DRAIN_S,
            "HEADSTART_HOST": host,
            "HEADSTART_PORT": str(self._port),
        }
        running = self.stack.enter_context(server(log=self._folder / f"{number}.log", **environment))
        running.url = f"http://{host}:{self._port}"
        return (host, self._port), running

    def deploy(self, between: Callable[[], None]) -> None:
        """The new server made known, and, once it has clients, each old one told to end; it stays known until it has."""
        *old, new = self._running
        self.servers.append(new[0])
        until(lambda: "headstart_process_readers 0.0" not in httpx2.get(f"{new[1].url}/metrics").text, "clients")
        for where, running in old:
            between()
            running.popen.send_signal(signal.SIGTERM)
            running.popen.wait(30)
            self.servers.remove(where)
            assert "Traceback" not in running.log.read_text()


class Reader:
    """Someone at a page: asks, and asks on, and takes up where a stream broke off. Keeps what it must not see."""

    def __init__(self, url: str) -> None:
        # A connection for each request: no two in a row need reach the same server.
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._http = httpx2.Client(base_url=url, timeout=30, limits=limits)
        self._client = Client(self._http)
        self._client.add_context()
        self._session = self._client.start()["session"]
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.answers: list[list[Event]] = []
        self.errors: list[str] = []
        self.cuts = 0
        self.reading = False

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self._enough.set()
        self._thread.join(60)
        self._http.close()
        assert not self._thread.is_alive()

    def _read(self) -> None:
        while not self._enough.is_set():
            try:
                self._go_on()
            except Exception as error:  # whatever it is, the test's thread has to hear of it
                self.errors.append(repr(error))
                return

    def _go_on(self) -> None:
        self.answers.append(self._ask())

    def _ask(self) -> list[Event]:
        got: list[Event] = []
        path = f"/api/sessions/{self._session}/ask"
        how: dict[str, Any] = {"method": "POST", "json": {"question": "And now?"}}
        while not got or got[-1].name not in ("verdict", "error", "stopped"):
            try:
                with self._http.stream(url=path, **how) as response:
                    if response.status_code != 200:
                        self._refused(response)
                        continue
                    turn = response.headers["turn-id"]
                    for event in events(response.iter_bytes()):
                        if event.name != "ping":
                            got.append(event)
                        self.reading = event.name == "content_block_delta"
            except httpx2.HTTPError:
                if not got:
                    raise
            self.reading = False
            self.cuts += 1
            path, how = f"/api/turns/{turn}/events", {"method": "GET", "headers": {"Last-Event-ID": str(got[-1].id)}}
        self.cuts -= 1
        return got

    def _refused(self, response: httpx2.Response) -> None:
        """A server that has just been told to end sends its clients away, and the page goes to another one."""
        response.read()
        if response.status_code != 503 or response.json()["code"] != "shutting_down":
            self.errors.append(f"{response.status_code} {response.text}")


class Waiter(Reader):
    """Someone who waits for warms, each of a prefix that nobody else has."""

    def _go_on(self) -> None:
        session, state = self._client.start(isolation="session")["session"], "cold"
        while state in ("cold", "warming"):
            self.reading = True
            response = self._http.post(f"/api/sessions/{session}/warm", json={"wait": True})
            self.reading = False
            if response.status_code == 202:
                state = response.json()["warm"]["state"]
            else:
                self._refused(response)
        if state != "warm":
            self.errors.append(f"the warm is {state}")


@pytest.mark.parametrize("front", [own_balancer, pytest.param(nginx, marks=needs_nginx)])
def test_nobody_notices_a_deploy(
    front: Callable[[Path, list[Address]], AbstractContextManager[str]],
    redis: RedisProcess,
    upstream: Recorder,
    tmp_path: Path,
) -> None:
    upstream.default = slowly
    fleet = Fleet(tmp_path, redis, upstream)
    with fleet.stack as stack:
        fleet.start()
        url = stack.enter_context(front(tmp_path, fleet.servers))
        readers = [*(Reader(url) for _ in range(READERS)), Waiter(url)]
        for reader in readers:
            reader.start()
        try:
            fleet.deploy(lambda: until(lambda: all(reader.reading or reader.errors for reader in readers), "answers"))
        finally:
            for reader in readers:
                reader.finish()
        assert [reader.errors for reader in readers] == [[]] * len(readers)
        assert sum(reader.cuts for reader in readers) > 0, "no answer was under way when a server ended"
        for got in (got for reader in readers for got in reader.answers):
            ids = [event.id for event in got if event.id is not None]
            assert ids == sorted(set(ids))
            assert got[-1].name == "verdict"
            assert text_of(got) == WORDS


@contextmanager
def lasting(redis: RedisProcess, upstream: Recorder, log: Path) -> Iterator[tuple[Process, Client]]:
    """A server that has a minute for what runs when it is told to end, and a client of it."""
    given = {"HEADSTART_REDIS_URL": redis.url, "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_API_KEY": "sk-test-key"}
    given |= {"HEADSTART_LIMITS": "off", "HEADSTART_DRAIN_S": "60", "HEADSTART_PORT": str(free_port())}
    with server(log=log, **given) as running, httpx2.Client(base_url=running.url, timeout=30) as http:
        running.wait_ready()
        yield running, Client(http)


def test_who_waits_for_a_warm_is_sent_on_and_the_warm_is_made_to_its_end(
    redis: RedisProcess, upstream: Recorder, elsewhere: Client, tmp_path: Path
) -> None:
    upstream.default = held
    with lasting(redis, upstream, tmp_path / "ending.log") as (ending, client), ThreadPoolExecutor() as threads:
        client.http.cookies.update(dict(elsewhere.http.cookies))
        session = client.start()["session"]
        waiting = threads.submit(client.warm, session, wait=True)
        upstream.wait_for(1)
        ending.popen.send_signal(signal.SIGTERM)
        assert waiting.result()["state"] == "warming"
        again = threads.submit(elsewhere.warm, session, wait=True)
        assert elsewhere.warm(session)["state"] == "warming"
        upstream.release()
        assert again.result()["state"] == "warm"
        ending.popen.wait(30)
        assert len(upstream.exchanges) == 1
        assert "Traceback" not in ending.log.read_text()


def test_who_was_just_let_in_when_a_server_is_told_to_end_gets_an_answer(
    redis: RedisProcess, upstream: Recorder, tmp_path: Path
) -> None:
    with lasting(redis, upstream, tmp_path / "ending.log") as (ending, _):
        where = address(ending.url)
        with socket.create_connection(where, timeout=30) as asks, socket.create_connection(where, timeout=30) as silent:
            ending.popen.send_signal(signal.SIGTERM)
            until(lambda: refuses(where), "the server to take no new connections")
            asks.sendall(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert asks.recv(1024).startswith(b"HTTP/1.1 503 ")
            assert silent.recv(1024) == b""
        ending.popen.wait(30)


def test_what_is_being_sent_when_a_server_is_told_to_end_is_taken(
    redis: RedisProcess, upstream: Recorder, tmp_path: Path
) -> None:
    with lasting(redis, upstream, tmp_path / "ending.log") as (ending, _):
        where = address(ending.url)
        body = json.dumps({"name": "slow", "documents": [{"title": "a.txt", "text": "Alpha. " * 50}]}).encode()
        with socket.create_connection(where, timeout=30) as connection:
            connection.sendall(
                b"POST /api/contexts HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(body)
            )
            assert connection.recv(1024).startswith(b"HTTP/1.1 100 ")
            ending.popen.send_signal(signal.SIGTERM)
            until(lambda: refuses(where), "the server to take no new connections")
            # It takes longer than an answer is given to be read.
            sender = connection.makefile("rwb")
            for place in range(0, len(body), len(body) // 20):
                sender.write(body[place : place + len(body) // 20])
                sender.flush()
                select.select([connection], [], [], 2 * CLOSE_S / 20)
            assert sender.readline().startswith(b"HTTP/1.1 201 ")
        ending.popen.wait(30)
        assert "Traceback" not in ending.log.read_text()


def refuses(where: Address) -> bool:
    try:
        socket.create_connection(where, timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


@needs_nginx
def test_nginx_passes_events_on_as_they_come_and_says_who_asked(
    redis: RedisProcess, upstream: Recorder, tmp_path: Path
) -> None:
    upstream.default = slowly
    with ExitStack() as stack:
        behind = stack.enter_context(serving(redis.url, upstream.url))
        url = stack.enter_context(nginx(tmp_path, [address(behind)]))
        http = stack.enter_context(httpx2.Client(base_url=url, timeout=30))
        client = Client(http)
        client.add_context()
        client.add_context("large", documents=[{"title": "large.txt", "text": "Alpha. " * 200_000}])
        with client.asking(client.start()["session"], "Now?") as stream:
            came = [time.monotonic() for event in stream if event.name == "content_block_delta"]
        assert came[-1] - came[0] > EVERY_S * len(came) / 4
        # What a proxy for TLS in front of nginx says counts, as far as the cookie's `Secure`.
        over_tls = httpx2.post(f"{url}/api/sessions", json={"context": "docs"}, headers={"X-Forwarded-Proto": "https"})
        assert "Secure" in over_tls.headers["set-cookie"]
