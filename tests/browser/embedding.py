"""The documentation's example of a front end of one's own, as it stands, in a page."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import Page, Response

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = "http://127.0.0.1:8000"
EXAMPLE = re.findall(r"```html\n(.*?)```", (ROOT / "docs" / "embed.md").read_text(), re.S)[0]
ASK = """async ({abortAt = Infinity, session, base = ''}) => {
    const { attach } = await import('/static/headstart.js');
    const abort = new AbortController();
    const chat = attach(document.querySelector('textarea'), { context: 'Lighthouse', session, base });
    const texts = [], ids = [];
    const onText = (text) => { texts.push(text); if (texts.length === abortAt) abort.abort(); };
    const onEvent = ({ id }) => id && ids.push(id);
    const asked = chat.ask('Which ship is ship 7?', { onText, onEvent, signal: abort.signal });
    const answer = await asked.catch(({ name, code, retryable }) => ({ name, code, retryable }));
    chat.detach();
    return { answer, texts, ids };
}"""


class Embedded:
    """The example, from the origin of the server at `url`."""

    def __init__(self, page: Page, url: str, context: str) -> None:
        self.page = page
        self.url = url
        html = EXAMPLE.replace(DOCUMENTED, url).replace("'asyncio'", f"'{context}'")
        page.route("**/embedded", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        self.input = page.locator("#question")
        self.warm = page.locator("#warm")
        self.answer = page.locator("#answer")

    def add_lighthouse(self) -> None:
        """A context that nothing has warmed yet."""
        lines = "\n".join(f"Line {n}: the lighthouse keeper counts ships, and this is ship {n}." for n in range(400))
        documents = [{"title": "keeper.md", "text": f"Logbook {uuid4()}\n{lines}"}]
        made = self.page.request.post(f"{self.url}/api/contexts", data={"name": "Lighthouse", "documents": documents})
        assert made.ok, made.text()

    def open(self) -> "Embedded":
        self.page.goto(f"{self.url}/embedded")
        return self

    def ask(self, question: str) -> None:
        self.input.fill(question)
        self.page.get_by_role("button", name="Ask").click()

    def turns(self, session: str) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = self.page.request.get(f"{self.url}/api/sessions/{session}").json()["turns"]
        return turns

    def stored(self, session: str) -> str:
        return str(self.turns(session)[-1]["answer"])

    def begin(self, asked: str) -> str:
        """A session that has been asked something already; its id."""
        request = self.page.request
        session = str(request.post(f"{self.url}/api/sessions", data={"context": "Lighthouse"}).json()["session"])
        assert request.post(f"{self.url}/api/sessions/{session}/ask", data={"question": asked}).ok
        return session


def sessions_of(page: Page) -> list[str]:
    """The sessions that the page calls from now on."""
    called: list[str] = []

    def hear(response: Response) -> None:
        if found := re.search(r"/api/sessions/(\w+)/", response.url):
            called.append(found[1])

    page.on("response", hear)
    return called
