"""Copies of a conversation, made to compare: in no list, and never left without what they are copies of."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from app.prompt.context import Parameters, Ttl
from app.store import keys
from app.store.connection import Store
from app.store.contexts import Contexts
from app.store.sessions import Sessions
from app.store.step import Step
from app.store.turns import Turns
from app.turns.conversations import Conversations, NoSuchTurn, UnknownSession
from app.turns.met import Met
from app.turns.retention import Retention
from app.warm.prefixes import Prefixes
from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess, serving, until
from tests.test_finding import asked, fork, ids
from tests.test_processes import owner_of
from tests.test_retention import age, used_s_ago
from tests.turns import half_answered


def copied(client: Client, session: str, after_turn: int) -> str:
    """An isolated fork of `session`."""
    forking = {"after_turn": after_turn, "isolation": "session"}
    answer = client.http.post(f"/api/sessions/{session}/fork", json=forking)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session"])


def left_of(redis: RedisProcess, *sessions: str) -> list[str]:
    """The keys that `sessions` still have."""
    return [key for key in redis.named() if any(session.removeprefix("s_") in key for session in sessions)]


def test_a_copy_is_in_no_list_and_a_branch_of_it_is(client: Client) -> None:
    client.add_context()
    session = asked(client, "Where is the lighthouse?")
    copy = asked(client, "And the lighthouse keeper?", session=copied(client, session, 1))
    assert ids(client) == ids(client, q="lighthouse") == [session]
    assert len(client.session(copy)["turns"]) == 2
    branch = asked(client, "And the lighthouse cat?", session=fork(client, copy, 2))
    assert ids(client, q="lighthouse") == [branch, session]
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    assert ids(client) == [branch]


@pytest.mark.parametrize("branches", [False, True])
def test_a_copy_is_erased_with_what_it_is_a_copy_of(client: Client, redis: RedisProcess, branches: bool) -> None:
    client.add_context()
    session = asked(client, "One?")
    branch = asked(client, "Two?", session=fork(client, session, 1))
    of_session, of_branch = (asked(client, "Cold?", session=copied(client, one, 1)) for one in (session, branch))
    of_copy = copied(client, of_session, 2)
    assert client.http.delete(f"/api/sessions/{session}", params={"branches": branches}).status_code == 204
    erased, kept = [session, of_session, of_copy], [branch, of_branch]
    if branches:
        erased, kept = [*erased, *kept], []
    for one in erased:
        assert client.http.get(f"/api/sessions/{one}").status_code == 404
    assert left_of(redis, *erased) == []
    for one in kept:
        assert client.ask(one, "Still here?")[-1].name == "verdict"


def test_a_copy_that_is_being_answered_stops_when_what_it_is_a_copy_of_is_erased(
    client: Client, redis: RedisProcess, upstream: Recorder
) -> None:
    client.add_context()
    session = asked(client, "One?")
    with half_answered(client, upstream, session=copied(client, session, 1)) as (copy, _, stream):
        assert client.http.delete(f"/api/sessions/{session}").status_code == 204
        assert upstream.exchanges[-1].hung_up.wait(30)
        assert [event.name for event in stream] in ([], ["stopped"])
    upstream.release()
    # Another turn has come and gone: whatever the erased one had left to write has had its time.
    asked(client, "Gone?")
    assert left_of(redis, session, copy) == []


def test_a_copy_that_is_erased_leaves_what_it_is_a_copy_of_as_it_was(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    session = asked(client, "One?")
    before = left_of(redis, session)
    copy = asked(client, "Cold?", session=copied(client, session, 1))
    assert client.http.delete(f"/api/sessions/{copy}").status_code == 204
    assert left_of(redis, copy) == []
    assert sorted(left_of(redis, session)) == sorted(before)


def test_a_copy_that_was_only_half_made_or_half_erased_goes_too(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    session = asked(client, "One?")
    copy = copied(client, session, 1)
    # As a crash leaves them: a name before there is anything, and turns of which the session is gone.
    redis.say(f"SADD {keys.copies(session)} {keys.new_session_id()}".encode())
    redis.say(f"DEL {keys.session(copy)}".encode())
    assert left_of(redis, copy) != []
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    assert left_of(redis, session, copy) == []


class Interrupted(Store):
    """A store of which step `at` has `act` come before it."""

    def __init__(self, url: str, at: int, act: Callable[[], Awaitable[None]]) -> None:
        super().__init__(url)
        self.before = at
        self._act = act

    async def _perform(self, steps: Sequence[Step], *, in_part: bool = False) -> None:
        self.before -= 1
        if self.before == -1:
            await self._act()
        await super()._perform(steps, in_part=in_part)


class Crash(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("crashes", [False, True])
async def test_whatever_comes_between_its_steps_a_copy_is_not_left_without_what_it_is_a_copy_of(
    client: Client, redis: RedisProcess, crashes: bool
) -> None:
    client.add_context()

    async def interrupted(at: int) -> bool:
        """Whether the making of a copy had a step `at`, before which its original was erased, or all ended."""
        session = await asyncio.to_thread(asked, client, "One?")

        async def erase() -> None:
            answer = await asyncio.to_thread(client.http.delete, f"/api/sessions/{session}")
            assert answer.status_code == 204

        async def crash() -> None:
            raise Crash

        store = Interrupted(redis.url, at, crash if crashes else erase)
        sessions, turns = Sessions(store), Turns(store)
        met = Met(turns)
        prefixes = Prefixes(Contexts(store), sessions)
        making = Conversations(sessions, turns, prefixes, _short, Retention(sessions, met, None), met)
        try:
            record = await sessions.get(session)
            if record is not None:
                await making.fork(record, 1, isolated=True)
        except (Crash, UnknownSession, NoSuchTurn):
            pass
        finally:
            await store.close()
        if store.before >= 0 or crashes:
            await erase()
        assert redis.named("hs:{s_*") == []
        return store.before < 0

    steps = 0
    while await interrupted(steps):
        steps += 1
    assert steps > 6


async def _short(_context: str, _parameters: Parameters) -> Ttl:
    return "5m"


def test_a_use_of_a_copy_is_one_of_what_it_is_a_copy_of_and_both_go_together(
    client: Client, redis: RedisProcess, upstream: Recorder
) -> None:
    client.add_context()
    session = asked(client, "One?")
    copy = copied(client, session, 1)
    with serving(redis.url, upstream.url, retention_days=30) as url, owner_of(url, client.http.cookies) as elsewhere:
        age(redis, session, 29)
        elsewhere.session(copy)
        used = used_s_ago(redis, session)
        assert used is not None
        assert used < 24 * 60 * 60
    age(redis, session, 31)
    with serving(redis.url, upstream.url, retention_days=30):
        until(lambda: used_s_ago(redis, session) is None, "erasing")
    assert used_s_ago(redis, copy) is None
    assert left_of(redis, session, copy) == []
