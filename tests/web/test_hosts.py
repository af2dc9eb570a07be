"""Names that lead to this machine: a page that had its own do so reads nothing here, and proxies need nothing set."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

# What no page can choose: browsers connect so, and this header is theirs.
BROWSER = {"connection": "keep-alive"}
PROXY = {"connection": "close", "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http"}
PATHS = ("/", "/api/contexts", "/static/js/html.js", "/healthz", "/docs", "/dashboard")


@pytest.fixture
def serve(redis: RedisProcess, upstream: Recorder) -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(redis.url, upstream.url, **settings))


def status(url: str, host: str, path: str = "/api/contexts", **headers: str) -> int:
    return httpx2.get(url + path, headers={"host": host, **headers}).status_code


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "["]
)
def test_a_page_whose_name_leads_here_reads_and_does_nothing(client: Client, upstream: Recorder, host: str) -> None:
    url = str(client.http.base_url)
    # The last one forges what a page can.
    for forged in ({}, {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https", "x-forwarded-host": "localhost"}):
        for path in PATHS:
            assert status(url, host, path, **BROWSER, **forged) == 421, path
        response = httpx2.post(
            f"{url}/api/sessions", json={"context": "docs"}, headers={"host": host, **BROWSER, **forged}
        )
        assert (response.status_code, response.json()["code"]) == (421, "unknown_host")
        assert "HEADSTART_HOSTS" in response.json()["detail"]
    assert upstream.exchanges == []


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "chat.localhost", "127.0.0.1:1", "[::1]:8000", "192.0.2.7"]
)
def test_local_names_and_addresses_are_our_own(server: str, host: str) -> None:
    assert status(server, host, **BROWSER) == 200


def test_a_name_that_was_listed_is_known(serve: Callable[..., str]) -> None:
    url = serve(hosts="chat.example.com, other.example")
    for host in ("Chat.Example.com:8000", "other.example", "other.example."):
        assert status(url, host, **BROWSER) == 200
    assert status(url, "evil.example", **BROWSER) == 421


def test_a_proxy_beside_the_server_needs_nothing_set(server: str) -> None:
    assert status(server, "chat.example.com", **PROXY) == 200
    assert status(server, "chat.example.com", **BROWSER, **{"sec-fetch-site": "none"}) == 200


@pytest.mark.parametrize(
    "proxied", [{"trusted_proxies": "10.0.0.0/8, 127.0.0.1"}, {"login_header": "X-User"}, {"host": "0.0.0.0"}]
)
def test_where_a_proxy_or_a_network_is_set_up_names_are_its_business(
    serve: Callable[..., str], proxied: dict[str, str]
) -> None:
    assert status(serve(**proxied), "chat.example.com", "/healthz", **BROWSER) == 200
