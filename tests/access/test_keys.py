"""API keys: made and revoked on the command line, used over HTTP; their secrets are nowhere."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from app.access.apikeys import USED_WITHIN_S, ApiKeys, UnknownKey
from app.cli import main
from app.store.apikeys import StoredKeys
from app.store.connection import Store
from tests.client import Client
from tests.commands import Finished, headstart
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

Keys = Callable[..., Finished]


@pytest.fixture
def keys(redis: RedisProcess, tmp_path: Path) -> Keys:
    """`headstart keys …` over the Redis of the test."""
    return lambda *words: headstart("keys", *words, home=tmp_path, HEADSTART_REDIS_URL=redis.url)


@pytest.fixture
def bearer(redis: RedisProcess, upstream: Recorder) -> Iterator[Callable[[str], Client]]:
    """A client that sends this key, to a server with limits on."""
    with ExitStack() as stack:
        limits = {"limits": "on", "sandbox": "off", "owner_turns_per_minute": 1, "owner_usd_per_day": 0}
        url = stack.enter_context(serving(redis.url, upstream.url, **limits))

        def client(secret: str) -> Client:
            headers = {"authorization": f"Bearer {secret}"}
            return Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30, headers=headers)))

        yield client


def added(finished: Finished) -> str:
    """The secret that `keys add` printed."""
    assert finished.code == 0, finished.text
    assert re.fullmatch("hs_[a-z2-7]{32}", finished.lines[0])
    return finished.lines[0]


def test_a_key_is_an_owner_until_it_is_revoked(
    keys: Keys, bearer: Callable[[str], Client], redis: RedisProcess
) -> None:
    one, other = added(keys("add", "one")), added(keys("add", "other"))
    listed = keys("list")
    assert [line.split("  ")[0] for line in listed.lines] == ["one", "other"]
    assert "never used" in listed.lines[0]
    client, stranger = bearer(one), bearer(other)
    client.add_context()
    session = client.start()["session"]
    assert client.ask(session, "Mine?")[-1].name == "verdict"
    # What holds other owners does not hold a key without limits of its own.
    assert client.ask(session, "Again?")[-1].name == "verdict"
    assert stranger.http.get(f"/api/sessions/{session}").status_code == 404
    assert not client.http.cookies
    assert "set-cookie" not in client.http.get("/api/contexts").headers
    assert "last used" in keys("list").lines[0]
    assert keys("revoke", "one").code == 0
    for response in (client.http.get(f"/api/sessions/{session}"), client.http.get("/api/contexts")):
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    assert [line.split("  ")[0] for line in keys("list").lines] == ["other"]
    stranger.add_context()
    everything = redis.dump() + "".join(keys("list").lines)
    assert one[3:] not in everything and other[3:] not in everything


def test_a_keys_own_limits(keys: Keys, bearer: Callable[[str], Client]) -> None:
    client = bearer(added(keys("add", "small", "--turns-per-minute", "1", "--usd-per-day", "0.01")))
    assert "$0.01 a day, 1 questions a minute" in keys("list").text
    client.add_context()
    session = client.start()["session"]
    # A hit costs less than a cent, two more tokens than the bucket has.
    assert client.ask(session, "One?")[-1].name == "verdict"
    refused = client.http.post(f"/api/sessions/{session}/ask", json={"question": "Two?"})
    assert (refused.status_code, refused.json()["limit"], refused.json()["most"]) == (429, "turns_per_minute", 1)
    # The warm of another conversation costs more than is left.
    client.warm(client.start(isolation="session")["session"], wait=True)
    refused = client.http.post(f"/api/sessions/{session}/ask", json={"question": "Three?"})
    assert (refused.status_code, refused.json()["limit"], refused.json()["most"]) == (429, "usd_per_day", 0.01)


@pytest.mark.parametrize(
    "token", ["hs_" + "a" * 32, "hs_", "hs_*", "sk-ant-something", "x", "hs_" + "é" * 32, "hs_" + "a" * 5000]
)
def test_what_is_no_key_is_refused_and_not_taken_for_nobody(bearer: Callable[[str], Client], token: str) -> None:
    client = bearer("x")
    client.http.headers = httpx2.Headers([(b"authorization", b"bearer " + token.encode())])
    response = client.http.get("/api/contexts")
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert len(token) < 5 or token not in response.text


def test_what_is_no_bearers_is_none_of_our_business(bearer: Callable[[str], Client]) -> None:
    client = bearer("x")
    client.http.headers["authorization"] = "Basic dXNlcjpwYXNz"
    assert client.http.get("/api/contexts").status_code == 200


def test_the_command_says_what_is_wrong_and_makes_nothing(keys: Keys) -> None:
    added(keys("add", "taken"))
    for words, says in (
        (["add", "a\nb"], "a name has 1 to 100 printable characters"),
        (["add", "taken"], "there is a key “taken” already"),
        (["revoke", "nobody"], "there is no key “nobody”; there are: taken"),
    ):
        finished = keys(*words)
        assert (finished.code, says in finished.text) == (1, True), finished.text
    assert len(keys("list").lines) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--usd-per-day", "much"], "'much' is no amount in USD"),
        (["--usd-per-day", "nan"], "'nan' is no amount in USD"),
        (["--usd-per-day", "-1"], "'-1' is no amount in USD"),
        (["--turns-per-minute", "0"], "'0' is not a number from 1 on"),
    ],
)
def test_limits_that_are_none_are_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "add", "x", *words])
    assert says in capsys.readouterr().err


async def test_when_a_key_was_used_is_kept_to_the_hour(redis: RedisProcess) -> None:
    store, now = Store(redis.url), 1_800_000_123.0
    known = ApiKeys(StoredKeys(store), lambda: now)
    key, secret = await known.add("one", usd_per_day=None, turns_per_minute=None)
    await known.find(secret)
    (used,) = [one.used_s for one in await known.all()]
    assert used == now - now % USED_WITHIN_S
    now += USED_WITHIN_S / 2
    await known.find(secret)
    assert [one.used_s for one in await known.all()] == [used]
    now += USED_WITHIN_S
    await known.find(secret)
    assert [one.used_s for one in await known.all()] != [used]
    await known.revoke(key.id)
    with pytest.raises(UnknownKey):
        await known.find(secret)
    assert redis.named("hs:key*") == []
    await store.close()
