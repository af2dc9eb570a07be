"""Where Redis is: the forms that its URL can have.

    redis://[user:password@]host[:6379][/db]        one server; rediss:// speaks TLS
    unix://[user:password@]/path/to/socket[?db=n]   one server on this machine
    redis+sentinel://[user:password@]host[:26379],host…/master-name[/db]
    redis+cluster://[user:password@]host[:6379],host…

`rediss+sentinel` and `rediss+cluster` speak TLS. Options of redis-py's connections can follow (`?ssl_ca_certs=…`).
User and password are those of the Redis servers; sentinels that want some get `?sentinel_username=…&sentinel_password=…`.
No error here repeats any part of a URL: wherever it is cut wrongly, there may be a password in it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis.asyncio import ConnectionPool

FORMS = (
    "redis://host:port/db, rediss://…, unix:///path, redis+sentinel://host:port,host:port/master-name "
    "or redis+cluster://host:port,host:port"
)
_PORT = 6379
_SENTINEL_PORT = 26379
_ENCODE = "in a user or password, write / ? # @ [ ] and % percent-encoded"


class Kind(StrEnum):
    """What the URL leads to."""

    SINGLE = "one server"
    SENTINEL = "the master that Sentinel names"
    CLUSTER = "a cluster"


class Endpoint(NamedTuple):
    """A host (a socket's path, when `port` is 0) and its port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """A URL, taken apart. `endpoints` are the server, the sentinels, or some nodes of the cluster."""

    kind: Kind
    endpoints: tuple[Endpoint, ...]
    master: str
    _scheme: str
    _user: str
    _path: str
    _query: str
    _sentinel_user: str

    def url_of(self, endpoint: Endpoint) -> str:
        """The URL, as redis-py knows it, of a server at `endpoint`."""
        where = endpoint.host if endpoint.port == 0 else _netloc(endpoint)
        return f"{self._scheme}://{self._user}{where}{self._path}{self._query}"

    def url_of_sentinel(self, endpoint: Endpoint) -> str:
        """The URL of the sentinel at `endpoint`."""
        return f"{self._scheme}://{self._sentinel_user}{_netloc(endpoint)}{self._query}"


def parse_address(url: str) -> Address:
    """`url` taken apart. Raises `ValueError`, which says what is wrong and shows no part of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"not the URL of a Redis: {_ENCODE}") from None
    scheme, _, form = parts.scheme.partition("+")
    kind = {"": Kind.SINGLE, "sentinel": Kind.SENTINEL, "cluster": Kind.CLUSTER}.get(form)
    if kind is None or scheme not in ("redis", "rediss", "unix") or (scheme == "unix" and form):
        raise ValueError(f"not the URL of a Redis: {FORMS}")
    if parts.fragment:
        raise ValueError(f"a # has no meaning in the URL of a Redis; {_ENCODE}")
    user, at, hosts = parts.netloc.rpartition("@")
    if scheme == "unix":
        if hosts or len(parts.path) < 2:
            raise ValueError("a unix:// URL has three slashes and the path of a socket: unix:///path/to/redis.sock")
        endpoints: tuple[Endpoint, ...] = (Endpoint(parts.path, 0),)
        master, path = "", ""
    else:
        endpoints = _endpoints(hosts, _SENTINEL_PORT if kind is Kind.SENTINEL else _PORT)
        if kind is Kind.SINGLE and len(endpoints) > 1:
            raise ValueError("several hosts are for redis+sentinel:// or redis+cluster://")
        master, path = _path(kind, parts.path)
    query, sentinel_user = _query(kind, parts.query)
    address = Address(kind, endpoints, master, scheme, user + at, path, query, sentinel_user)
    _try_out(address)
    return address


def _path(kind: Kind, path: str) -> tuple[str, str]:
    """The name of the master, and the database as a path."""
    steps = [unquote(step) for step in path.split("/") if step]
    master = ""
    if kind is Kind.SENTINEL:
        if not steps:
            raise ValueError("the name of the master is missing: redis+sentinel://host:26379,host:26379/master-name")
        master = steps.pop(0)
    if kind is Kind.CLUSTER and steps not in ([], ["0"]):
        raise ValueError("a cluster has no databases but 0: leave out what follows the hosts")
    if len(steps) > 1 or (steps and not (steps[0].isascii() and steps[0].isdigit())):
        raise ValueError("the database, after the last /, is not a number")
    return master, f"/{steps[0]}" if steps else ""


def _query(kind: Kind, query: str) -> tuple[str, str]:
    """The options for connections as a query, and what sentinels are told about who we are."""
    options = dict(parse_qsl(query))
    user, password = options.pop("sentinel_username", ""), options.pop("sentinel_password", "")
    if (user or password) and kind is not Kind.SENTINEL:
        raise ValueError("sentinel_username and sentinel_password are for redis+sentinel://")
    sentinel_user = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
    return f"?{urlencode(options)}" if options else "", sentinel_user


def _endpoints(hosts: str, port: int) -> tuple[Endpoint, ...]:
    found = []
    for host in hosts.split(","):
        try:
            parts = urlsplit(f"//{host}")
            found.append(Endpoint(unquote(parts.hostname or ""), port if parts.port is None else parts.port))
        except ValueError:
            raise ValueError(f"a port is not a number up to 65535, or {_ENCODE}") from None
    if not all(host and port for host, port in found):
        raise ValueError("a host is missing, or a port is 0")
    return tuple(found)


def _netloc(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else quote(endpoint.host)
    return f"{host}:{endpoint.port}"


def _try_out(address: Address) -> None:
    # Made, not connected: what redis-py makes of the query is known only to it.
    try:
        pool: Any = ConnectionPool.from_url(address.url_of(address.endpoints[0]))
        pool.make_connection()
    except (TypeError, ValueError, OSError):
        raise ValueError("what follows the ? is no option of redis-py's connections, or has no valid value") from None
