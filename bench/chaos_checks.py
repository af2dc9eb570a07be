"""What must be true after the chaos. Each check raises `Broken` with what is not."""

import asyncio
import json
from collections import Counter
from typing import Any

from app.store import keys
from app.store.connection import Store
from bench.chaos_deployment import Deployment
from bench.chaos_readers import Broken, Heard, Owner, text_of

SETTLES_WITHIN_S = 20.0
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
