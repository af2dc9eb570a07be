"""The forms of HEADSTART_REDIS_URL: what each leads to, and that what is wrong is said without showing a password."""

import traceback
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings
from app.store.address import Endpoint, Kind, parse_address

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "kind", "endpoints", "master", "urls"),
    [
        ("redis://h", Kind.SINGLE, [("h", 6379)], "", ["redis://h:6379"]),
        ("rediss://u:p%2Fw@[::1]:7/3", Kind.SINGLE, [("::1", 7)], "", ["rediss://u:p%2Fw@[::1]:7/3"]),
        (
            "redis://h?health_check_interval=2",
            Kind.SINGLE,
            [("h", 6379)],
            "",
            ["redis://h:6379?health_check_interval=2"],
        ),
        ("unix:///run/r.sock?db=2", Kind.SINGLE, [("/run/r.sock", 0)], "", ["unix:///run/r.sock?db=2"]),
        (
            "redis+sentinel://:pw@a,b:1/the%20one/2?sentinel_password=x%40",
            Kind.SENTINEL,
            [("a", 26379), ("b", 1)],
            "the one",
            ["redis://:pw@a:26379/2", "redis://:pw@b:1/2"],
        ),
        ("redis+cluster://u:p@a:7000,b:7001/0", Kind.CLUSTER, [("a", 7000), ("b", 7001)], "", ["redis://u:p@a:7000/0"]),
        ("rediss+cluster://a", Kind.CLUSTER, [("a", 6379)], "", ["rediss://a:6379"]),
    ],
)
def test_every_form_leads_to_its_servers(
    url: str, kind: Kind, endpoints: list[tuple[str, int]], master: str, urls: list[str]
) -> None:
    address = parse_address(url)
    assert (address.kind, list(address.endpoints), address.master) == (kind, endpoints, master)
    assert [address.url_of(Endpoint(*endpoint)) for endpoint in endpoints][: len(urls)] == urls


def test_sentinels_are_given_their_own_password_and_never_that_of_redis() -> None:
    given = parse_address(f"redis+sentinel://u:{SECRET}@a/m?sentinel_password=x%40")
    assert given.url_of_sentinel(Endpoint("a", 1)) == "redis://:x%40@a:1"
    assert SECRET not in repr(given)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"{SECRET}", "redis+cluster://"),
        (f"http://:{SECRET}@h", "redis+cluster://"),
        (f"redis+nodes://:{SECRET}@h", "redis+cluster://"),
        (f"unix+cluster://:{SECRET}@h", "redis+cluster://"),
        (f"redis://:{SECRET}/x@h:1", "percent-encoded"),
        (f"redis://:{SECRET}[@h:1", "percent-encoded"),
        (f"redis://:{SECRET}#@h:1", "percent-encoded"),
        (f"redis://:{SECRET}@h:99999", "65535"),
        (f"redis://:{SECRET}@", "host is missing"),
        (f"redis://:{SECRET}@a,b", "redis+sentinel://"),
        (f"redis://:{SECRET}@h/{SECRET}", "not a number"),
        (f"redis://:{SECRET}@h?nothing={SECRET}", "no option"),
        (f"redis://:{SECRET}@h?socket_timeout={SECRET}", "no option"),
        (f"redis://:{SECRET}@h?sentinel_password={SECRET}", "redis+sentinel://"),
        (f"redis+sentinel://:{SECRET}@h:1", "name of the master"),
        (f"redis+cluster://:{SECRET}@h:1/2", "no databases but 0"),
        (f"unix://run/{SECRET}", "three slashes"),
    ],
)
def test_what_is_wrong_is_said_and_no_password_with_it(url: str, said: str) -> None:
    given: dict[str, Any] = {"_env_file": None, "redis_url": url}
    with pytest.raises(ValidationError) as refused:
        Settings(**given)
    assert said in str(refused.value) and "redis_url" in str(refused.value)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_settings_show_no_url() -> None:
    given: dict[str, Any] = {"_env_file": None, "redis_url": f"redis://:{SECRET}@h"}
    assert SECRET not in repr(Settings(**given))
