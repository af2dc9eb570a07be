"""What the server fetches for whoever asks: public text and PDF, within bounds. Attacked with everything else."""

import asyncio
import gzip
import ssl
import subprocess
import zlib
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.contexts.addresses import is_public
from app.contexts.fetching import MAX_BYTES, Fetcher
from app.prompt.context import Document
from tests.contexts.sites import fetched, open_fetcher, page, refusal, site
from tests.needed import OPENSSL, needs_openssl

PUBLIC = ["93.184.215.14"]


def says(*addresses: str) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A look-up that gives these addresses for every name."""

    async def look_up(_: str) -> Sequence[str]:
        return addresses

    return look_up


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("168.63.129.16", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:db8::1"),
        *("2001:0:7f00:1::", "100::1", "192.88.99.1", "3fff::1", "5f00::1"),
    ],
)
async def test_no_address_is_reached_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    literal = f"[{address}]" if ":" in address else address
    if "%" not in address:
        assert "is not on the public internet" in await refusal(Fetcher(), f"http://{literal}/")
    for found in ([address], [*PUBLIC, address], [address, *PUBLIC]):
        named = Fetcher(lookup=says(*found))
        assert "is not on the public internet" in await refusal(named, "http://innocent.example/")


@pytest.mark.parametrize(
    "address", [*PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e", "1.1.1.1"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost.", "LOCALHOST", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0"),
        *("①②⑦.0.0.1", "127.0.0.1.", "017700000001", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"),
    ],
)
async def test_this_machine_is_not_reached_however_it_is_written(host: str) -> None:
    reached = False

    async def answer(_: web.Request) -> web.Response:
        nonlocal reached
        reached = True
        return web.Response(text="secret")

    async with site(answer) as url:
        port = url.rpartition(":")[2]
        await refusal(Fetcher(ports=range(65536)), f"http://{host}:{port}/")
    assert not reached


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/a", "is not an http"),
        ("file:///etc/passwd", "is not an http"),
        ("gopher://example.com/", "is not an http"),
        ("example.com/a", "is not an http"),
        ("//example.com/a", "is not an http"),
        ("http://", "is not an http"),
        ("http://user:secret@example.com/", "user name or password"),
        ("http://user@example.com/", "user name or password"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:6379/", "port 6379"),
        ("http://[::1/", "cannot be reached"),
    ],
)
async def test_what_is_no_plain_web_address_is_refused(url: str, why: str) -> None:
    assert why in await refusal(Fetcher(lookup=says("127.0.0.1")), url)


async def test_a_redirect_is_checked_like_the_first_address() -> None:
    for target in ("http://10.0.0.1/", "http://[::1]/", "file:///etc/passwd", "http://a:b@127.0.0.1/", "//10.0.0.1/x"):

        async def answer(_: web.Request, target: str = target) -> web.Response:
            return web.Response(status=302, headers={"Location": target})

        async with site(answer) as url:
            await refusal(open_fetcher(), url)


async def test_redirects_are_followed_so_far_and_no_farther() -> None:
    async def answer(request: web.Request) -> web.Response:
        left = int(request.path[1:])
        if left == 0:
            return web.Response(text="arrived")
        return web.Response(status=301 + left % 2, headers={"Location": f"/{left - 1}"})

    async with site(answer) as url:
        document = await open_fetcher().fetch(f"{url}/5", "urls")
        assert isinstance(document, Document) and document.text == "arrived"
        assert "redirects more than 5 times" in await refusal(open_fetcher(), f"{url}/6")


async def test_a_name_that_changes_its_address_between_looks_is_not_looked_up_twice() -> None:
    looks = 0

    async def rebinding(_: str) -> Sequence[str]:
        nonlocal looks
        looks += 1
        return ["127.0.0.1"] if looks == 1 else ["127.0.0.2"]

    connected: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        connected.append(request.transport.get_extra_info("sockname")[0])
        return web.Response(text="hello")

    def only_the_first(address: Any) -> bool:
        return str(address) == "127.0.0.1"

    async with site(answer) as url:
        port = url.rpartition(":")[2]
        fetcher = Fetcher(permit=only_the_first, ports=range(65536), lookup=rebinding)
        await fetcher.fetch(f"http://rebinding.example:{port}/", "urls")
        assert (connected, looks) == (["127.0.0.1"], 1)
        # The next fetch looks again, and is refused before it connects.
        assert "is not on the public internet" in await refusal(fetcher, f"http://rebinding.example:{port}/")
        assert len(connected) == 1


async def test_the_last_check_is_made_where_the_connection_is() -> None:
    """Whatever the resolver let pass: a permission that is withdrawn after the look-up still holds at the socket."""
    asked: list[str] = []

    def once(address: Any) -> bool:
        asked.append(str(address))
        return len(asked) == 1

    async with site(page("secret")) as url:
        port = url.rpartition(":")[2]
        fetcher = Fetcher(permit=once, ports=range(65536), lookup=says("127.0.0.1"))
        assert "is not on the public internet" in await refusal(fetcher, f"http://name.example:{port}/")
    assert asked == ["127.0.0.1", "127.0.0.1"]


async def test_a_name_without_addresses_cannot_be_reached() -> None:
    async def nothing(_: str) -> Sequence[str]:
        raise OSError("no such name")

    assert "cannot be reached" in await refusal(Fetcher(lookup=nothing), "http://nowhere.example/")
    assert "cannot be reached" in await refusal(Fetcher(lookup=says()), "http://nowhere.example/")


async def test_an_endless_answer_is_cut_off() -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 100_000)
            sent += 100_000

    async with site(answer) as url:
        assert f"larger than {MAX_BYTES:,} bytes" in await refusal(open_fetcher(), url)
    assert sent < 5 * MAX_BYTES


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_answer_is_measured_as_it_unpacks(coding: str) -> None:
    bomb = (gzip.compress if coding == "gzip" else zlib.compress)(b"0" * 200_000_000)
    async with site(page(bomb, "text/plain", **{"Content-Encoding": coding})) as url:
        assert f"larger than {MAX_BYTES:,} bytes" in await refusal(open_fetcher(), url)


@pytest.fixture
async def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Has so many seconds pass at once, for whatever the loop waits for."""
    loop, passed = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + sum(passed))
    return passed.append


async def test_an_answer_that_drips_is_not_waited_for(pass_time: Callable[[float], None]) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        over = asyncio.get_running_loop().create_future()
        while True:
            await response.write(b"x")
            pass_time(0.1)
            await asyncio.wait([over], timeout=0)

    async with site(answer) as url:
        assert "did not arrive within 15 seconds" in await refusal(open_fetcher(), url)


async def test_redirects_share_one_time(pass_time: Callable[[float], None]) -> None:
    async def answer(_: web.Request) -> web.Response:
        pass_time(4)
        return web.Response(status=302, headers={"Location": "/again"})

    async with site(answer) as url:
        assert "did not arrive within 15 seconds" in await refusal(open_fetcher(), url)


@pytest.mark.parametrize(
    "kind", ["image/png", "application/octet-stream", "video/mp4", "application/zip", "nonsense", "application/jsonx"]
)
async def test_what_is_no_text_is_refused_by_its_type(kind: str) -> None:
    async with site(page(b"hello", kind)) as url:
        assert "only text and PDF can be asked about" in await refusal(open_fetcher(), url)


@pytest.mark.parametrize("status", [404, 401, 500, 204, 304])
async def test_what_is_not_there_is_refused_by_its_status(status: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async with site(answer) as url:
        assert f"answers with status {status}" in await refusal(open_fetcher(), url)


async def test_a_server_that_speaks_no_tls_is_refused() -> None:
    async with site(page("hello")) as url:
        assert "no certificate that can be trusted" in await refusal(open_fetcher(), url.replace("http:", "https:"))


@needs_openssl
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    made = [str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    await asyncio.to_thread(subprocess.run, made + files, check=True, capture_output=True, timeout=60)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    async with site(page("hello"), tls) as url:
        assert "no certificate that can be trusted" in await refusal(open_fetcher(), url)


async def test_nothing_of_ours_is_sent_along() -> None:
    seen: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        response = web.Response(status=302 if request.path == "/" else 200, text="x", headers={"Location": "/b"})
        response.set_cookie("a", "b")
        return response

    await fetched(answer)
    assert len(seen) == 2
    for headers in seen:
        assert headers.keys() <= {"Host", "Connection", "Accept", "Accept-Encoding", "User-Agent"}
