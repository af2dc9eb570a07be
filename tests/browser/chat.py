"""The chat page as a person sees it: what is on it, and what can be done with it."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

from app.rendering.answer import blocks_of


class Chat:
    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.input = page.get_by_label("Your question")
        self.send = page.get_by_role("button", name="Send")
        self.stop = page.get_by_role("button", name="Stop")
        self.chip = page.locator("#chip")
        self.log = page.get_by_role("log", name="Conversation")
        self.turns = self.log.locator("article")
        self.notice = page.locator("#notice")

    def open(self, path: str = "/") -> "Chat":
        self.page.goto(self.url + path)
        return self

    def ask(self, question: str) -> Locator:
        """Type and send; the new turn, as soon as it is on the page."""
        before = self.turns.count()
        self.input.click()
        self.input.fill(question)
        self.input.press("Enter")
        expect(self.turns).to_have_count(before + 1)
        return self.turns.nth(before)

    def expect_state(self, turn: Locator, state: str) -> None:
        expect(turn).to_have_attribute("data-state", state)

    def expect_chip(self, state: str) -> None:
        expect(self.chip).to_have_attribute("data-state", state)

    @property
    def session(self) -> str:
        """The session's id, which the address holds once there is one."""
        self.page.wait_for_url("**/?session=*")
        return parse_qs(urlsplit(self.page.url).query)["session"][0]

    def stored(self) -> dict[str, Any]:
        """The session as the server tells it to this page's owner."""
        answer = self.page.request.get(f"{self.url}/api/sessions/{self.session}")
        assert answer.ok, answer.text()
        session: dict[str, Any] = answer.json()
        return session

    def add_context(self, name: str, documents: dict[str, str], **fields: Any) -> str:
        """A context of this page's owner; its id."""
        texts = [{"title": title, "text": text} for title, text in documents.items()]
        answer = self.page.request.post(f"{self.url}/api/contexts", data={"name": name, "documents": texts, **fields})
        assert answer.ok, answer.text()
        return str(answer.json()["context"])

    def shows_whole(self, turn: Locator, text: str) -> bool:
        """Whether the turn's answer looks exactly as `text` does when it is rendered in one piece."""
        return bool(
            turn.evaluate(
                """async (article, html) => {
                    const { fragment } = await import('/static/js/html.js');
                    const whole = document.createElement('div');
                    whole.append(fragment(html));
                    const shown = article.querySelector('.prose').cloneNode(true);
                    // What names a document leads there, once it is whole.
                    for (const code of shown.querySelectorAll('code.opens'))
                        for (const name of code.getAttributeNames()) code.removeAttribute(name);
                    return shown.innerHTML === whole.innerHTML;
                }""",
                "".join(blocks_of([{"type": "text", "text": text}])),
            )
        )
