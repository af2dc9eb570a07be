"""Isolated forks: a conversation over again, as if nobody had asked it before, also when it was thought about."""

from tests.client import Client

TEXT = "The lighthouse keeper counts the ships that pass, and writes them into the logbook. " * 400


def test_a_copy_that_shares_no_cache_is_answered_cold_and_then_hits_its_own(sandboxed: Client) -> None:
    sandboxed.add_context(documents=[{"title": "logbook.md", "text": TEXT}], thinking="adaptive", effort="high")
    session = sandboxed.start()["session"]
    for question in ("What does the keeper count?", "Where are they written?"):
        assert sandboxed.ask(session, question)[-1].name == "verdict"
    # What was thought is signed for the prefix that it was thought after.
    assert all(turn["thinking"] for turn in sandboxed.session(session)["turns"])
    forking = {"after_turn": 2, "isolation": "session"}
    copy = sandboxed.http.post(f"/api/sessions/{session}/fork", json=forking).json()["session"]
    sandboxed.warm(session, wait=True)
    assert sandboxed.ask(session, "Who?")[-1].data["cache"] == "hit"
    assert sandboxed.ask(copy, "Who?")[-1].data["cache"] == "miss"
    sandboxed.warm(copy, wait=True)
    assert sandboxed.ask(copy, "When?")[-1].data["cache"] == "hit"
