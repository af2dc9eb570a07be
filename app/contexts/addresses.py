"""Which addresses a server may be sent to by a stranger: those of the public internet, and no others.

An address may carry another one within it, which is where the connection ends; then that one has to be public too.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

# RFC 6052: the last 32 bits are an IPv4 address.
NAT64 = IPv6Network("64:ff9b::/96")
# In IANA's registries of special addresses, and public to some versions of Python.
SPECIAL = [*map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16"))]
# A public address by its number, and the host's own services on every Azure machine.
AZURE_HOST = IPv4Address("168.63.129.16")


def is_public(address: Address) -> bool:
    """Whether `address` is one that anybody could reach, from anywhere."""
    carried = list(_carried(address))
    if carried:
        return all(map(is_public, carried))
    special = (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or (isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None))
    )
    special = special or any(address in network for network in SPECIAL)
    return address.is_global and not special and address != AZURE_HOST


def literal(host: str) -> Address | None:
    """The address that `host` is, if it is no name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _carried(address: Address) -> Iterator[Address]:
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in NAT64:
        yield IPv4Address(address.packed[-4:])
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
