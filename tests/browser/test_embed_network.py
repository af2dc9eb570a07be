"""The module for front ends of one's own over a network that loses things: nothing is asked twice, and nothing is lost."""

import json
import re

import pytest
from playwright.sync_api import Route, expect

from tests.balancer import Balancer
from tests.browser.conftest import Complaints
from tests.browser.embedding import ASK, Embedded, sessions_of
from tests.browser.serving import Gate


def test_an_answer_is_whole_when_the_network_was_cut_in_its_middle(
    embedded: Embedded, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    begun = sessions_of(embedded.page)
    gate.hold_answers(after_deltas=3)
    embedded.ask("Which ship is ship 42?")
    expect(embedded.answer).not_to_be_empty()
    with embedded.page.expect_event("requestfailed"):
        wire.cut()
    gate.open_all()
    wire.mend()
    expect(embedded.warm).to_have_text(re.compile("^cache "))
    assert embedded.answer.text_content() == embedded.stored(begun[0])
    assert len(embedded.stored(begun[0])) > 100


@pytest.mark.parametrize("session", ["begun", "given"])
def test_a_question_whose_answer_got_lost_is_asked_once(
    embedded: Embedded, gate: Gate, wire: Balancer, complaints: Complaints, session: str
) -> None:
    complaints.expects("net::ERR")
    given = embedded.begin(asked="Which ship is ship 7?") if session == "given" else None
    begun = sessions_of(embedded.page)
    gate.hold_answers(after_deltas=3)
    wire.lose_answer(b"/ask HTTP")
    embedded.page.on("response", lambda response: gate.open_all() if response.url.endswith("/ask") else None)
    got = embedded.page.evaluate(ASK, {"session": given})
    turns = embedded.turns(begun[0])
    assert [turn["question"] for turn in turns] == ["Which ship is ship 7?"] * (2 if given else 1)
    assert got["answer"] == {"turn": turns[-1]["turn"], "text": turns[-1]["answer"], "verdict": turns[-1]["verdict"]}
    assert got["ids"] == sorted(set(got["ids"]))


def test_a_question_that_never_arrived_is_asked_when_the_server_is_back(
    embedded: Embedded, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    begun = sessions_of(embedded.page)
    embedded.input.focus()
    expect(embedded.warm).to_have_text("warm")
    with embedded.page.expect_event("requestfailed"):
        wire.cut()
        embedded.ask("Which ship is ship 42?")
    wire.mend()
    expect(embedded.warm).to_have_text(re.compile("^cache "))
    assert [turn["answer"] for turn in embedded.turns(begun[0])] == [embedded.answer.text_content()]


REFUSALS = [
    # code, Retry-After, how often it is asked
    ("shutting_down", None, 3),
    ("limit_reached", "1", 3),
    ("limit_reached", "40", 1),
]


@pytest.mark.parametrize(("code", "after", "times"), REFUSALS)
def test_a_refusal_that_may_pass_soon_is_waited_for(
    embedded: Embedded, complaints: Complaints, code: str, after: str | None, times: int
) -> None:
    complaints.expects("503")
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        if len(asked) == 3:
            route.continue_()
        else:
            problem = {"code": code, "retryable": True, "detail": "Not now."}
            route.fulfill(status=503, json=problem, headers={"retry-after": after} if after else {})

    embedded.page.route("**/ask", refuse)
    answer = embedded.page.evaluate(ASK, {})["answer"]
    assert len(asked) == times
    assert answer["verdict"] if times == 3 else answer["code"] == code


def test_a_warm_that_a_server_turns_away_which_is_about_to_end_is_made_by_another(
    embedded: Embedded, complaints: Complaints
) -> None:
    complaints.expects("503")
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        if len(asked) > 3:
            route.continue_()
        else:
            route.fulfill(status=503, json={"code": "shutting_down", "retryable": True, "detail": "Not now."})

    embedded.page.route("**/warm", refuse)
    embedded.input.focus()
    expect(embedded.warm).to_have_text("warm")


def frames(*events: tuple[int, str, dict[str, object]]) -> str:
    return "".join(f"id: {n}\r\nevent: {name}\r\ndata: {json.dumps(data)}\r\n\r\n" for n, name, data in events)


def delta(n: int, text: str) -> tuple[int, str, dict[str, object]]:
    return n, "content_block_delta", {"delta": {"type": "text_delta", "text": text}}


def test_a_restart_begins_the_text_anew_and_what_comes_twice_counts_once(
    embedded: Embedded, complaints: Complaints
) -> None:
    complaints.expects("503")
    whole = [(1, "turn", {}), (2, "message_start", {}), delta(3, "lost"), (4, "restart", {}), (5, "message_start", {})]
    whole += [delta(6, "kept "), delta(7, "whole"), (8, "verdict", {"cache": "hit"})]
    tails: list[str] = []

    def ask(route: Route) -> None:
        route.fulfill(body=frames(*whole[:3]), headers={"turn-id": "t_1"}, content_type="text/event-stream")

    def tail(route: Route) -> None:
        tails.append(route.request.url.partition("?")[2])
        if len(tails) == 1:
            route.fulfill(status=503, json={"detail": "Away.", "retryable": True}, headers={"retry-after": "1"})
        else:
            route.fulfill(body=frames(*whole[1:6] if len(tails) == 2 else whole), content_type="text/event-stream")

    embedded.page.route("**/ask", ask)
    embedded.page.route("**/events?*", tail)
    embedded.page.route("**/s_1", lambda route: route.fulfill(json={"session": "s_1", "turns": []}))
    got = embedded.page.evaluate(ASK, {"session": "s_1"})
    assert got["texts"] == ["lost", "", "kept ", "kept whole"]
    assert got["ids"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert tails == ["after=3", "after=3", "after=6"]
    assert got["answer"] == {"turn": "t_1", "text": "kept whole", "verdict": {"cache": "hit"}}
