"""Documents from URLs, fetched by the server: for whoever asks, so never from where only the server can reach.

Every address that a name resolves to has to be public, and the connection goes to one of those that were checked: there is
no second look-up in between. Redirects are followed one by one, each checked like the first. Time and size are bounded, the
size after decompression too; what is no text and no PDF is refused.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientSSLError, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.contexts.addresses import Address, is_public, literal
from app.contexts.documents import MAX_TITLE_CHARS, Collected, is_pdf, take
from app.contexts.drafts import InvalidDraft
from app.contexts.parsing import readable
from app.contexts.readers import read_apart
from app.prompt.context import AnyDocument

PORTS = frozenset({80, 443, 8080, 8443})
MAX_BYTES = 10_000_000
MAX_REDIRECTS = 5
WITHIN_S = 15.0
AT_ONCE = 16

_HEADERS = {
    "Accept": "text/markdown, text/plain, text/html, application/json, application/pdf, text/*;q=0.9",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "Headstart",
}
_REDIRECTS = (301, 302, 303, 307, 308)
_HTML = ("text/html", "application/xhtml+xml")
_PDF = "application/pdf"
_TEXT = re.compile(
    r"text/.+|.+\+(json|xml|yaml)"
    r"|application/(json|ld\+json|x-ndjson|xml|javascript|ecmascript|yaml|x-yaml|toml|sql|graphql|x-sh|x-tex|x-httpd-php)"
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.I)

Lookup = Callable[[str], Awaitable[Sequence[str]]]


class _Refused(ValueError):
    """A URL that is not fetched. The message says why, after its name, and what to do."""


class Fetcher:
    """Fetches documents. All but the defaults is for tests: who `permit`s other addresses opens the server's own network.

    `lookup` gives the addresses of a name and raises `OSError` when there are none.
    """

    def __init__(
        self,
        *,
        permit: Callable[[Address], bool] = is_public,
        ports: Container[int] = PORTS,
        lookup: Lookup | None = None,
    ) -> None:
        self._permit = permit
        self._ports = ports
        self._lookup = lookup or _look_up
        self._room = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, url: str, field: str) -> AnyDocument:
        """The document at `url`. Raises `InvalidDraft` for `field`, with the URL, what is wrong and what to do."""
        try:
            async with self._room, asyncio.timeout(WITHIN_S):
                kind, charset, content = await self._get(URL(url))
                return await _document(url, kind, charset, content)
        except _Refused as error:
            raise InvalidDraft(field, f"“{url}” {error}") from None
        except TimeoutError:
            raise InvalidDraft(field, f"“{url}” did not arrive within {WITHIN_S:g} seconds; try again") from None
        except ClientSSLError:
            said = "has no certificate that can be trusted; download it and send the file"
            raise InvalidDraft(field, f"“{url}” {said}") from None
        except (ClientError, ValueError, OSError):
            raise InvalidDraft(field, f"“{url}” cannot be reached; check the address") from None

    async def _get(self, url: URL) -> tuple[str, str | None, bytes]:
        """The media type, charset and content at `url`, or where it leads to."""
        connector = TCPConnector(
            resolver=_Checked(self._lookup, self._permit),
            socket_factory=self._socket,
            use_dns_cache=False,
            force_close=True,
        )
        # No proxy and no credentials from the environment: `trust_env` stays off.
        async with ClientSession(connector=connector, cookie_jar=DummyCookieJar(), headers=_HEADERS) as session:
            for _ in range(MAX_REDIRECTS + 1):
                self._check(url)
                async with session.get(url, allow_redirects=False) as response:
                    if response.status not in _REDIRECTS or "location" not in response.headers:
                        return await _read(response)
                    url = url.join(URL(response.headers["location"]))
        raise _Refused(f"redirects more than {MAX_REDIRECTS} times; give the address that it leads to")

    def _check(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise _Refused("is not an http:// or https:// address")
        if url.user is not None or url.password is not None:
            raise _Refused("holds a user name or password; give the address without them")
        if url.port not in self._ports:
            raise _Refused(f"leads to port {url.port}; only the web's usual ports are fetched from")
        address = literal(url.host)
        if address is not None:
            _permitted(address, self._permit)

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one address, at the last moment at which it can be refused."""
        family, kind, protocol, _, place = info
        _permitted(literal(place[0]), self._permit)
        return socket.socket(family, kind, protocol)


class _Checked(AbstractResolver):
    """Resolves a name, unless any of its addresses is one that is not permitted."""

    def __init__(self, lookup: Lookup, permit: Callable[[Address], bool]) -> None:
        self._lookup = lookup
        self._permit = permit

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        del family  # both are looked up, and every address is checked
        found = [literal(address) for address in await self._lookup(host)]
        if not found:
            raise OSError("the name has no address")
        for address in found:
            _permitted(address, self._permit)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address is not None and address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is held open."""


async def _look_up(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def _permitted(address: Address | None, permit: Callable[[Address], bool]) -> None:
    if address is None or not permit(address):
        raise _Refused("is not on the public internet; download it and send the file")


async def _read(response: ClientResponse) -> tuple[str, str | None, bytes]:
    if response.status != 200:
        raise _Refused(f"answers with status {response.status}; check that it opens without signing in")
    kind = response.content_type if "content-type" in response.headers else "text/plain"
    if kind != _PDF and not _TEXT.fullmatch(kind) and kind not in _HTML:
        raise _Refused(f"is {kind[:80]}; only text and PDF can be asked about")
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_BYTES:
            raise _Refused(f"is larger than {MAX_BYTES:,} bytes; send the part that matters as a file")
        parts.append(part)
    return kind, response.charset, b"".join(parts)


async def _document(url: str, kind: str, charset: str | None, content: bytes) -> AnyDocument:
    title = url
    if kind in _HTML:
        html = _decoded(content, charset or _declared(content))
        page = await read_apart(lambda: readable(html))
        if page is None:
            raise _Refused("takes too long to read; save it as text and send the file")
        if not page.text:
            raise _Refused("has no text that can be read without scripts; save it as PDF or text and send the file")
        title, content = page.title or url, page.text.encode()
    elif not is_pdf(content):
        content = _decoded(content, charset).encode()
    collected: Collected = await read_apart(lambda: take([(title[:MAX_TITLE_CHARS], content)]))
    if not collected.documents:
        raise _Refused(f"cannot be asked about: it is {collected.skipped[0].reason}")
    return collected.documents[0]


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8")
    except LookupError:
        raise _Refused(f"is in an encoding that is not known here ({(charset or '')[:40]})") from None
    except UnicodeDecodeError:
        raise _Refused(f"is not the {charset or 'UTF-8'} text that it says it is") from None


def _declared(content: bytes) -> str | None:
    """The charset that a page declares in itself; pages that do not are usually from before UTF-8."""
    found = _META_CHARSET.search(content[:2048])
    if found:
        return found[1].decode("ascii")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
