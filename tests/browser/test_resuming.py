"""A page that loses its connection, its server or its minutes comes back by itself, to a whole answer and no error."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from redis import Redis

from app.processes import EmbeddedRedis
from tests.balancer import Balancer, address
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.serving import Gate
from tests.running import Process, RedisProcess, free_port, server, until

QUESTION = "Which ship is ship 42?"
SILENCE_MS = 41_000
UNANSWERED_MS = 11_000


class Notes:
    """What the page said while it was not looked at."""

    def __init__(self, chat: Chat) -> None:
        self._page = chat.page
        chat.page.evaluate(
            """() => {
                window.said = [];
                const note = () => { const node = document.getElementById('notice');
                    if (!node.hidden) window.said.push(node.innerText); };
                new MutationObserver(note).observe(document.getElementById('notice'), { attributes: true });
            }"""
        )

    def said(self) -> list[str]:
        notes: list[str] = self._page.evaluate("window.said")
        return notes


def begun(chat: Chat, gate: Gate) -> Locator:
    """A turn with a few words on the page, and no more until the gate opens."""
    gate.hold_answers(after_deltas=3)
    turn = chat.ask(QUESTION)
    expect(turn.locator(".prose")).not_to_be_empty()
    return turn


def assert_whole(chat: Chat, turn: Locator) -> None:
    """One turn with the very answer that is stored, and nothing that looks like an error."""
    chat.expect_state(turn, "done")
    expect(chat.turns).to_have_count(1)
    assert chat.shows_whole(turn, chat.stored()["turns"][0]["answer"])
    expect(chat.notice).to_be_hidden()
    expect(turn.get_by_role("alert")).to_have_count(0)


def test_a_network_that_goes_without_a_word_and_comes_back(gated: Chat, gate: Gate, wire: Balancer) -> None:
    turn = begun(gated, gate)
    gated.page.context.set_offline(True)
    # A page that was never told that the network was gone is not told that it is back.
    gated.page.wait_for_function("!navigator.onLine")
    wire.hush()
    gate.open_all()
    gated.page.context.set_offline(False)
    assert_whole(gated, turn)


def test_a_network_that_breaks_off_and_stays_away_for_a_while(
    gated: Chat, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    turn = begun(gated, gate)
    gated.page.context.set_offline(True)
    wire.cut()
    gate.open_all()
    expect(gated.notice).to_contain_text("Reconnecting…")
    wire.mend()
    gated.page.context.set_offline(False)
    assert_whole(gated, turn)


def test_a_reload(gated: Chat, gate: Gate) -> None:
    begun(gated, gate)
    gated.page.reload()
    turn = gated.turns.first
    expect(turn.locator(".prose")).not_to_be_empty()
    expect(turn).to_contain_text(QUESTION)
    gate.open_all()
    assert_whole(gated, turn)


def test_a_laptop_that_slept(gated: Chat, gate: Gate, wire: Balancer) -> None:
    """Its clock jumps, and the connection that it had is gone without a word."""
    gated.page.clock.install()
    turn = begun(gated, gate)
    shown = turn.locator(".prose").inner_text()
    wire.hush()
    gate.open_all()
    gated.page.clock.run_for(2_000)
    assert turn.locator(".prose").inner_text() == shown
    gated.page.clock.fast_forward(SILENCE_MS)
    assert_whole(gated, turn)


def test_a_page_that_comes_back_when_the_events_are_not_kept_any_more(
    gated: Chat, gate: Gate, wire: Balancer, gated_url: str, gated_data: Path, complaints: Complaints
) -> None:
    complaints.expects("net::ERR", "404")
    begun(gated, gate)
    session = gated.session
    wire.cut()
    expect(gated.notice).to_contain_text("Reconnecting…")
    gate.open_all()

    def ended() -> bool:
        turns = gated.page.request.get(f"{gated_url}/api/sessions/{session}").json()["turns"]
        return str(turns[0]["state"]) == "done"

    until(ended, "the end")
    with Redis.from_url(EmbeddedRedis(gated_data / "headstart").url) as redis:
        assert redis.delete(*redis.scan_iter(f"hs:{{{session}}}:journal:*")) == 1
    wire.mend()
    assert_whole(gated, gated.turns.first)


def test_an_attempt_that_is_never_answered(gated: Chat, gate: Gate, wire: Balancer, complaints: Complaints) -> None:
    complaints.expects("net::ERR")
    gated.page.clock.install()
    turn = begun(gated, gate)
    unanswered: list[Route] = []
    gated.page.route("**/events*", lambda route: unanswered.append(route), times=1)
    with gated.page.expect_request("**/events*"):
        wire.cut()
        wire.mend()
        gate.open_all()
    gated.page.clock.fast_forward(UNANSWERED_MS)
    assert_whole(gated, turn)
    assert len(unanswered) == 1


def test_a_page_that_was_frozen_while_its_answer_came(
    gated: Chat, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    turn = begun(gated, gate)
    lifecycle = gated.page.context.new_cdp_session(gated.page)
    lifecycle.send("Page.setWebLifecycleState", {"state": "frozen"})
    wire.hush()
    gate.open_all()
    wire.cut()
    wire.mend()
    lifecycle.send("Page.setWebLifecycleState", {"state": "active"})
    assert_whole(gated, turn)


def test_stop_is_one_button_and_is_heard_when_the_server_is_back(
    gated: Chat, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    turn = begun(gated, gate)
    wire.cut()
    expect(gated.notice).to_contain_text("Reconnecting…")
    expect(gated.stop).to_have_count(1)
    gated.stop.click()
    expect(gated.stop).to_have_text("Stopping…")
    expect(gated.stop).to_be_disabled()
    expect(gated.stop).to_have_count(1)
    wire.mend()
    gated.expect_state(turn, "stopped")
    expect(gated.notice).to_be_hidden()
    expect(gated.stop).to_be_hidden()
    gate.open_all()


def test_a_question_whose_answer_was_lost_on_the_way_is_not_asked_twice(
    gated: Chat, gate: Gate, page: Page, complaints: Complaints
) -> None:
    complaints.expects("ERR_FAILED")

    def lose(route: Route) -> None:
        """The server accepts the question, and the browser never hears of it."""
        headers, body = route.request.all_headers(), route.request.post_data
        with httpx2.stream("POST", route.request.url, headers=headers, content=body, timeout=30) as response:
            assert response.status_code == 200
        route.abort()

    page.route("**/ask*", lose, times=1)
    gate.hold_answers(after_deltas=3)
    turn = gated.ask(QUESTION)
    gate.open_all()
    assert_whole(gated, turn)
    expect(gated.input).to_have_value("")
    assert len(gated.stored()["turns"]) == 1


class Replicas:
    """Two servers: one that the page begins with, and one that is there when that goes."""

    def __init__(self, doomed: Process, survivor: Process, balancer: Balancer) -> None:
        self.doomed = doomed
        self.balancer = balancer
        self._survivor = address(survivor.url)

    def go_on_with(self, how: signal.Signals) -> None:
        self.balancer.servers.append(self._survivor)
        self.doomed.popen.send_signal(how)


@pytest.fixture
def replicas(redis: RedisProcess, gate: Gate, shared_gate: tuple[Gate, str], tmp_path: Path) -> Iterator[Replicas]:
    gate.open_all()
    given = {
        "HEADSTART_REDIS_URL": redis.url,
        "HEADSTART_LIMITS": "off",
        "HEADSTART_DRAIN_S": "0.2",
        "ANTHROPIC_BASE_URL": shared_gate[1],
        "ANTHROPIC_API_KEY": "test",
    }
    with ExitStack() as stack:
        doomed, survivor = (
            stack.enter_context(server(log=tmp_path / f"{name}.log", HEADSTART_PORT=str(free_port()), **given))
            for name in ("doomed", "survivor")
        )
        doomed.wait_ready()
        survivor.wait_ready()
        balancer = stack.enter_context(Balancer([address(doomed.url)]).listening())
        yield Replicas(doomed, survivor, balancer)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "deployed"])
def test_a_server_that_ends_in_the_middle_of_an_answer(
    page: Page, replicas: Replicas, gate: Gate, complaints: Complaints, how: signal.Signals
) -> None:
    complaints.expects("net::ERR")
    chat = Chat(page, replicas.balancer.url)
    context = chat.add_context("Lighthouse", {"keeper.md": "The lighthouse keeper counts ships.\n" * 400})
    turn = begun(chat.open(f"/?context={context}"), gate)
    notes = Notes(chat)
    replicas.go_on_with(how)
    gate.open_all()
    assert_whole(chat, turn)
    assert notes.said() == []
