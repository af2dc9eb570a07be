"""What must be true after the chaos. Each check raises `Broken` with what is not."""

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any

import httpx2

from app.store import keys
from app.store.connection import Store
from bench.chaos_deployment import Deployment
from bench.chaos_readers import Broken, Heard, Owner, text_of
from tests.running import until

SETTLES_WITHIN_S = 20.0
# What a process has while nobody asks it anything: its loops, its server, and this very request.
MOST_TASKS = 30
INPUTS = ("read", "written_5m", "written_1h", "uncached")


async def check_owner(owner: Owner) -> None:
    """Every turn has ended, its readers agree with its journal, and its answer is what they heard."""
    turns = (await owner.call("GET", f"/api/sessions/{owner.session}"))["turns"]
    asked = {turn["turn"]: turn for turn in turns}
    journals = {turn: await owner.journal(turn) for turn in asked}
    for turn, view in asked.items():
        if view["state"] == "running" or journals[turn].end is None:
            raise Broken(f"{turn} has not ended")
        frames = list(journals[turn].frames.values())
        if not frames[0].startswith(b"id: 1\nevent: turn\n") or frames[-1].count(b"event: ") != 1:
            raise Broken(f"{turn}: its journal begins with {frames[0]!r}")
        if view["answer"] != text_of(frames):
            raise Broken(f"{turn}: {view['state']}, and its answer is not the text that was streamed")
    for heard in owner.heard:
        if heard.turn not in asked:
            raise Broken(f"{heard.turn} was accepted and is not there")
        _compare(heard, journals[heard.turn])
    questions = Counter(view["question"] for view in turns)
    if doubled := [question for question, count in questions.items() if count > 1]:
        raise Broken(f"asked twice: {doubled}")


def _compare(heard: Heard, journal: Heard) -> None:
    if heard.frames == journal.frames:
        return
    missing, extra = sorted(journal.frames.keys() - heard.frames), sorted(heard.frames.keys() - journal.frames)
    raise Broken(f"{heard.turn}: a reader missed {missing[:5]}, heard {extra[:5]} that the journal has not")


async def check_books(deployment: Deployment) -> None:
    """Each answer that the sandbox began is one entry, with the tokens that it counted, or the call of a process that was
    killed; and every entry of an answer is one that the sandbox began."""
    store = Store(deployment.storage.url)
    for _ in range(round(SETTLES_WITHIN_S * 5)):
        if not (left_open := await store.do("HLEN", keys.LEDGER_OPEN)):
            break
        await asyncio.sleep(0.2)
    entries = [json.loads(fields[b"entry"]) for _, fields in await store.do("XRANGE", keys.LEDGER, "-", "+")]
    await store.close()
    if left_open:
        raise Broken(f"{left_open} calls are still open in the ledger")
    entered = Counter(entry["message_id"] for entry in entries if entry["message_id"])
    if doubled := [message for message, count in entered.items() if count > 1]:
        raise Broken(f"entered twice: {doubled[:5]}")
    begun = {record["message_id"]: record for record in deployment.requests() if record["usage"]}
    if invented := entered.keys() - begun:
        raise Broken(f"the ledger has answers that the sandbox never gave: {sorted(invented)[:5]}")
    silent = sum(entry["message_id"] is None for entry in entries)
    if len(missing := begun.keys() - entered) > silent:
        raise Broken(f"{len(missing)} answers are not in the ledger, and only {silent} calls whose answer nobody saw")
    for entry in entries:
        if entry["message_id"] and (wrong := _differs(entry, begun[entry["message_id"]]["usage"])):
            raise Broken(f"{entry['message_id']}: {wrong}")
    print(f"ledger: {len(entries)} calls, {len(entered)} answers to the token, {silent} calls without an answer")


def _differs(entry: dict[str, Any], usage: dict[str, Any]) -> str | None:
    for category in INPUTS:
        if entry[category] != usage[category]:
            return f"{category} is {usage[category]}, and the ledger has {entry[category]}"
    return None


async def check_nothing_left(deployment: Deployment, owners: list[Owner]) -> None:
    """No key of what was erased, no turn, reader or task in any process."""
    store = Store(deployment.storage.url)
    named = [
        name
        for owner in owners
        for name in (
            *(kind(owner.session) for kind in (keys.session, keys.transcript, keys.ends, keys.turn_list)),
            *(kind(owner.session, turn) for turn in owner.questions for kind in (keys.turn, keys.journal)),
        )
    ]
    left = [
        name
        for name, there in zip(named, await store.batch([("EXISTS", name) for name in named]), strict=True)
        if there
    ]
    running = await store.do("ZCARD", keys.RUNNING)
    await store.close()
    if left or running:
        raise Broken(f"{len(left)} keys of what was erased are left ({left[:3]}), and {running} running turns")
    most = {"headstart_process_turns": 0, "headstart_process_readers": 0, "headstart_process_tasks": MOST_TASKS}
    for replica in deployment.replicas:
        for name, limit in most.items():
            until(partial(_at_most, limit, replica.url, name), f"{name} to go down")


def _at_most(limit: float, url: str, name: str) -> bool:
    return _gauge(url, name) <= limit


def _gauge(url: str, name: str) -> float:
    lines = httpx2.get(f"{url}/metrics", timeout=10).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])
