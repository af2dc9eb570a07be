"""A real Chromium against real servers. Without a Chromium these tests are left out, in one line, unless the
environment's HEADSTART_TEST_REQUIRE names `browser`: then they fail."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, expect, sync_playwright
from redis import Redis

from app.processes import EmbeddedRedis
from tests.balancer import Balancer, address
from tests.browser.chat import Chat
from tests.browser.embedding import Embedded
from tests.browser.serving import Gate, headstart, sandbox
from tests.needed import required

HERE = Path(__file__).parent
SPEED = 40
# What a page is waited for: a busy machine may take its time.
PATIENCE_MS = 60_000
# Chromium takes the last list of these alone, so what Playwright turns off is in it.
WITHOUT = (
    # Two pages of the address bar's, loaded anew for each context: they cost as much as the pages that are tested.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning",
)  # fmt: skip
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=" + ",".join(WITHOUT),
]


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    if not ours or chromium() or required("browser"):
        return
    items[:] = [item for item in items if item not in ours]
    config.hook.pytest_deselected(items=ours)
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        _say(config, f"No Chromium on this machine: {len(ours)} browser tests are left out.")


def _say(config: pytest.Config, line: str) -> None:
    """Past pytest's capture: the processes that collect have no terminal of their own."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is None:
        print(line, file=sys.__stderr__)
        return
    with capture.global_and_fixture_disabled():
        print(line, file=sys.__stderr__, flush=True)


# Playwright keeps a loop running in this thread: it ends with these tests, before any that bring a loop of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    assert path, "browser tests are required here, and there is no Chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sandboxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as `make run` starts it, only faster: embedded Redis, sandbox, the sample context. For a picture it
    runs at its usual speed, so that the picture shows what a reader will see."""
    usual = {} if "HEADSTART_SCREENSHOT" in os.environ else {"HEADSTART_SANDBOX_SPEED": str(SPEED)}
    with headstart(tmp_path_factory.mktemp("sandboxed"), **usual) as url:
        yield url


@pytest.fixture(scope="session")
def shared_gate() -> Iterator[tuple[Gate, str]]:
    with sandbox(SPEED) as upstream:
        gate = Gate(upstream)
        with gate.listening() as url:
            yield gate, url


@pytest.fixture(scope="session")
def gated_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gated")


@pytest.fixture(scope="session")
def gated_url(shared_gate: tuple[Gate, str], gated_data: Path) -> Iterator[str]:
    with headstart(
        gated_data, ANTHROPIC_BASE_URL=shared_gate[1], ANTHROPIC_API_KEY="test", HEADSTART_LIMITS="off"
    ) as url:
        yield url


@pytest.fixture
def gate(shared_gate: tuple[Gate, str], gated_url: str, gated_data: Path) -> Iterator[Gate]:
    """What the gated server's calls pass through. Open at first, and open again afterwards, with no refusal remembered."""
    assert gated_url
    yield shared_gate[0]
    shared_gate[0].open_all()
    with Redis.from_url(EmbeddedRedis(gated_data / "headstart").url) as redis:
        for breaker in redis.scan_iter("hs:breaker:*"):
            redis.delete(breaker)


class Complaints:
    """What the page logged as wrong. A test that breaks the network on purpose says that it `expects` the traces."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.expected: tuple[str, ...] = ()

    def expects(self, *traces: str) -> None:
        self.expected += traces

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.lines.append(f"{message.text} {message.location['url']}")

    def refuse(self, dialog: Dialog) -> None:
        self.lines.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def unexpected(self) -> list[str]:
        return [line for line in self.lines if not any(trace in line for trace in self.expected)]


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    heard = Complaints()
    yield heard
    assert heard.unexpected() == []


@pytest.fixture
def context(browser: Browser, complaints: Complaints) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    context.on("console", complaints.hear)
    context.on("weberror", lambda error: complaints.lines.append(str(error.error)))
    context.on("dialog", complaints.refuse)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('policy:', e.violatedDirective, e.blockedURI))"
    )
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def chat(page: Page, sandboxed: str) -> Chat:
    """The page over the sandbox, opened."""
    return Chat(page, sandboxed).open()


@pytest.fixture
def wire(gate: Gate, gated_url: str) -> Iterator[Balancer]:
    """What `gated` is reached over; the gate behind it opens before it is cut."""
    gate.open_all()
    with Balancer([address(gated_url)]).listening() as wire:
        yield wire


@pytest.fixture
def gated(wire: Balancer, page: Page) -> Chat:
    """The page over the gated server, opened on a small context that nothing has warmed yet."""
    chat = Chat(page, wire.url)
    lines = "\n".join(f"Line {n}: the lighthouse keeper counts ships, and this is ship {n}." for n in range(400))
    context = chat.add_context("Lighthouse", {"keeper.md": f"Logbook {uuid4()}\n{lines}"})
    return chat.open(f"/?context={context}")


@pytest.fixture
def embedded(wire: Balancer, page: Page) -> Embedded:
    found = Embedded(page, wire.url, "Lighthouse")
    found.add_lighthouse()
    return found.open()
