"""Adding something to ask about: picked, dropped, pasted, or by address; what is left out, what goes wrong, what is kept."""

import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.bringing import bring, drop
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.contexts.sites import open_fetcher
from tests.pdfs import pdf
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

LONG = "The lighthouse keeper counts ships, and writes them down. " * 200


class Dialog:
    """The dialog as a person sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.get_by_role("dialog", name="Ask about something of yours")
        self.chosen = page.get_by_label("What is added").locator("li")
        self.left_out = self.root.locator(".left-out")
        self.alert = self.root.get_by_role("alert")
        self.status = self.root.get_by_role("status")
        self.addresses = page.get_by_label("Web addresses")
        self.name = page.get_by_label("Name", exact=True)
        self.add = self.root.get_by_role("button", name="Add", exact=True)

    def open(self) -> "Dialog":
        self.page.get_by_role("button", name="Add something to ask about").click()
        expect(self.root).to_be_visible()
        return self

    def pick(self, *files: Path) -> None:
        self.page.set_input_files("#folder" if files[0].is_dir() else "#files", list(files))

    def left_out_are(self, *lines: str) -> None:
        self.left_out.locator("summary").click()
        expect(self.left_out.locator("li")).to_have_text(list(lines))


@pytest.fixture
def adding(chat: Chat) -> Dialog:
    return Dialog(chat.page)


@pytest.fixture
def filled(adding: Dialog, tmp_path: Path) -> Dialog:
    """The dialog, opened, with a file in it."""
    (tmp_path / "a.md").write_text(LONG)
    adding.open().pick(tmp_path / "a.md")
    return adding


def folder(tmp_path: Path) -> Path:
    made = tmp_path / "handbook"
    for name, content in {
        "guide/one.md": LONG,
        "guide/two.md": LONG,
        ".gitignore": "*.log\nbuild/\n",
        "noise.log": "log",
        "build/out.txt": "out",
        ".git/config": "[core]",
        ".env": "TOKEN=very-secret",
        "logo.png": "\x89PNG\0",
        "empty.txt": "",
        "node_modules/left/index.js": "left",
    }.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(content)
    return made


def titles(chat: Chat) -> list[str]:
    context = chat.page.request.get(f"{chat.url}/api/contexts/{chat.stored()['context']}")
    return [one["title"] for one in context.json()["titles"]]


def test_a_folder_is_added_without_what_stays_at_home_and_warms_at_once(
    chat: Chat, adding: Dialog, tmp_path: Path
) -> None:
    sent: list[bytes] = []
    chat.page.on("request", lambda request: sent.append(request.post_data_buffer or b""))
    adding.open().pick(folder(tmp_path))
    expect(adding.chosen).to_have_text(["handbook/3 files · 23 kB×", "handbook/guide/2 files · 23 kB×"])
    expect(adding.left_out.locator("summary")).to_have_text("Left out: 5 files and 1 folder")
    adding.left_out_are(
        "handbook/.envmay hold secrets; name the file itself to add it",
        "handbook/node_modules/dependencies or a tool’s cache; choose the folder itself to add it",
        "handbook/empty.txtempty",
        "handbook/logo.pngbinary",
        "2 files, by .gitignore",
    )
    adding.add.click()
    chat.expect_chip("warm")
    expect(chat.input).to_be_focused()
    assert "#" not in chat.page.url
    expect(chat.page.get_by_label("Context")).to_have_js_property("selectedOptions.0.text", "handbook")
    assert titles(chat) == ["handbook/.gitignore", "handbook/guide/one.md", "handbook/guide/two.md"]
    assert not any(b"very-secret" in body for body in sent)
    turn = chat.ask("What does the lighthouse keeper count?")
    chat.expect_state(turn, "done")
    expect(turn.locator(".cache")).to_have_attribute("data-cache", "hit")


def test_what_the_model_is_told_first_goes_along_and_can_be_read_again(chat: Chat, filled: Dialog) -> None:
    told = "Answer in one paragraph.\nNever <b>guess</b>."
    filled.page.get_by_label("Instructions").fill(f"  {told}\n")
    filled.name.fill("Told")
    filled.add.click()
    chat.expect_chip("warm")
    context = chat.page.request.get(f"{chat.url}/api/contexts/{chat.stored()['context']}").json()
    assert context["instructions"] == told
    sheet = chat.page.get_by_role("region", name="About Told")
    chat.page.locator(".about:visible summary").click()
    expect(sheet.locator("blockquote")).to_have_text(told, use_inner_text=True)
    expect(sheet.locator("blockquote b")).to_have_count(0)
    expect(sheet.locator(".titles li")).to_have_count(1)
    # Nothing but white space is nothing.
    chat.page.keyboard.press("Escape")
    filled.open().page.get_by_label("Instructions").fill(" \n ")
    filled.page.set_input_files("#files", {"name": "b.md", "mimeType": "text/markdown", "buffer": LONG.encode()})
    filled.name.fill("Untold")
    filled.add.click()
    expect(chat.page.get_by_label("Context")).to_have_js_property("selectedOptions.0.text", "Untold")
    chat.expect_chip("warm")
    assert chat.page.request.get(f"{chat.url}/api/contexts/{chat.stored()['context']}").json()["instructions"] is None


def test_of_a_folder_that_is_too_large_what_weighs_most_is_taken_out(adding: Dialog, tmp_path: Path) -> None:
    for name, size in {
        "a.md": 4000,
        "src/a.py": 8000,
        "data/1.csv": 90_000,
        "data/deep/2.csv": 10_000,
        "z/z": 40,
    }.items():
        file = tmp_path / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * size)
    (tmp_path / "shop" / "plan.pdf").write_bytes(pdf("A plan."))
    adding.open().pick(tmp_path / "shop")
    expect(adding.chosen.locator(".path")).to_have_text(["shop/", "shop/data/", "shop/src/", "shop/z/"])
    expect(adding.chosen.nth(1)).to_have_text("shop/data/2 files · 100 kB×")
    estimate = "tokens (an estimate by size, without PDFs and archives)"
    expect(adding.status).to_contain_text(f" · about 37,000 {estimate}")
    adding.root.get_by_role("button", name="Take out shop/data/").press("Enter")
    expect(adding.chosen.locator(".path")).to_have_text(["shop/", "shop/src/", "shop/z/"])
    expect(adding.status).to_contain_text(f"4 files · 13 kB · about 4,000 {estimate}")
    # One key takes out one thing: the whole folder is not next.
    expect(adding.root.get_by_role("button", name="Take out shop/src/")).to_be_focused()
    adding.root.get_by_role("button", name="Take out shop/", exact=True).click()
    expect(adding.chosen).to_have_count(0)
    expect(adding.status).to_have_text("")


def test_a_folder_is_dropped_with_all_that_is_in_it(chat: Chat, adding: Dialog, tmp_path: Path) -> None:
    for n in range(130):
        file = tmp_path / "ships" / f"{n}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"Ship {n}.")
    for name in ("deep/er/one.md", ".git/config", ".gitignore"):
        (tmp_path / "ships" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ships" / name).write_text("deep/er/two.md")
    (tmp_path / "alone.md").write_text(LONG)
    chat.expect_chip("cold")
    drop(chat.page, tmp_path / "ships", tmp_path / "alone.md")
    expect(adding.chosen.locator(".path")).to_have_text(["alone.md", "ships/", "ships/deep/"])
    expect(adding.chosen.nth(1)).to_contain_text("ships/132 files")
    adding.name.fill("Ships")
    adding.add.click()
    chat.expect_chip("warm")
    assert set(titles(chat)) == {
        "alone.md",
        "ships/.gitignore",
        "ships/deep/er/one.md",
        *(f"ships/{n}.md" for n in range(130)),
    }


def test_an_address_is_fetched_and_asked_about(page: Page, redis: RedisProcess, upstream: Recorder) -> None:
    with serving(redis.url, upstream.url, fetcher=open_fetcher()) as url:
        chat, adding = Chat(page, url).open(), Dialog(page)
        adding.open().addresses.fill(f"{url}/docs\n{url}/static/headstart.js")
        expect(adding.name).to_have_attribute("placeholder", "127.0.0.1")
        adding.add.click()
        chat.expect_chip("warm")
        expect(page.get_by_label("Context").locator("option:checked")).to_have_text("127.0.0.1")
        first, second = titles(chat)
        assert first == "API · Headstart"
        assert second.endswith("/static/headstart.js")
        page.goto("about:blank")


def test_files_of_all_kinds_and_what_only_the_server_finds_to_leave_out(
    chat: Chat, adding: Dialog, tmp_path: Path
) -> None:
    (tmp_path / "report.pdf").write_bytes(pdf("Ships in June.", "Ships in July."))
    (tmp_path / "notes.txt").write_text(LONG)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("deep/a.md", LONG)
        archive.writestr("deep/b.bin", b"\0")
    adding.open().pick(tmp_path / "report.pdf", tmp_path / "more.zip")
    adding.pick(tmp_path / "notes.txt")
    expect(adding.chosen).to_have_count(3)
    adding.root.get_by_role("button", name="Take out notes.txt").click()
    expect(adding.chosen).to_have_count(2)
    adding.name.fill("Ships")
    adding.add.click()
    expect(adding.status).to_contain_text("Added 2 documents; the model is reading.")
    expect(adding.left_out.locator("li")).to_have_text(["more/deep/b.binbinary"])
    adding.root.get_by_role("button", name="Ask about it").click()
    chat.expect_chip("warm")
    expect(chat.page.locator(".about:visible summary")).to_contain_text(" · 2 pages")
    assert titles(chat) == ["report.pdf", "more/deep/a.md"]
    assert chat.stored()["context_name"] == "Ships"


def test_files_may_be_dropped_anywhere_or_pasted(chat: Chat, adding: Dialog) -> None:
    chat.expect_chip("cold")
    bring(chat.page, "dragenter", "a.md", LONG)
    expect(chat.page.locator("body")).to_have_class("dropping")
    bring(chat.page, "drop", "dropped.md", LONG)
    expect(adding.root).to_be_visible()
    expect(chat.page.locator("body")).to_have_class("")
    bring(chat.page, "paste", "pasted.md", LONG)
    expect(adding.chosen).to_have_text(["dropped.md12 kB×", "pasted.md12 kB×"])
    adding.add.click()
    chat.expect_chip("warm")
    assert titles(chat) == ["dropped.md", "pasted.md"]


def test_text_that_is_pasted_with_a_picture_of_it_is_text(chat: Chat, adding: Dialog) -> None:
    chat.expect_chip("cold")
    chat.page.evaluate(
        """() => {
            const brought = new DataTransfer();
            brought.items.add(new File(['x'], 'picture.png'));
            brought.setData('text/plain', 'words');
            const options = {bubbles: true, cancelable: true, clipboardData: brought};
            document.querySelector('#question').dispatchEvent(new ClipboardEvent('paste', options));
        }"""
    )
    expect(adding.root).to_be_hidden()


def test_the_keyboard_alone_adds_and_leaves(chat: Chat, adding: Dialog, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(LONG)
    # Heard from the start: a browser is told only then to leave choosing to whoever listens.
    chat.page.on("filechooser", lambda chooser: chooser.set_files(tmp_path / "a.md"))
    button, keyboard = chat.page.get_by_role("button", name="Add something to ask about"), chat.page.keyboard
    button.focus()
    keyboard.press("Enter")
    expect(adding.root).to_be_visible()
    keyboard.press("Escape")
    expect(adding.root).to_be_hidden()
    expect(button).to_be_focused()
    keyboard.press("Enter")
    expect(adding.root.get_by_role("button", name="Files…")).to_be_focused()
    keyboard.press("Enter")
    expect(adding.chosen).to_have_count(1)
    adding.name.focus()
    keyboard.type("By keyboard")
    keyboard.press("Enter")
    expect(chat.page.get_by_label("Context").locator("option:checked")).to_have_text("By keyboard")
    chat.expect_chip("warm")
    assert chat.stored()["context_name"] == "By keyboard"


def refuse(dialog: Dialog, sentence: str) -> None:
    expect(dialog.alert).to_have_text(sentence)


def test_what_cannot_be_asked_about_is_said_in_a_sentence(adding: Dialog, tmp_path: Path) -> None:
    adding.open().add.click()
    refuse(adding, "Choose a file or a folder first, or give an address.")
    pictures, empty, sheet = tmp_path / "pictures", tmp_path / "none", tmp_path / "sheet.xlsx"
    pictures.mkdir()
    empty.mkdir()
    for n in range(3):
        (pictures / f"{n}.png").write_bytes(b"\x89PNG\0")
    sheet.write_bytes(b"PK\3\4\0")
    (tmp_path / "huge.txt").write_bytes(b"x" * 33_000_000)
    adding.pick(pictures)
    refuse(adding, "None of that can be asked about: all of it, 3 files, is left out (binary).")
    adding.pick(sheet)
    refuse(adding, "“sheet.xlsx” is left out: an office file; save it as PDF or text.")
    adding.pick(tmp_path / "huge.txt")
    refuse(adding, "“huge.txt” is left out: larger than 32 MB.")
    adding.pick(empty)
    refuse(adding, "There is no file in that folder.")


def test_a_refusal_of_the_server_names_what_it_refuses_and_keeps_all(
    chat: Chat, filled: Dialog, complaints: Complaints
) -> None:
    complaints.expects("422")
    filled.addresses.fill("http://127.0.0.1/secret")
    filled.add.click()
    expect(filled.alert).to_contain_text("“http://127.0.0.1/secret” is not on the public internet")
    expect(filled.chosen).to_have_count(1)
    expect(filled.addresses).to_have_value("http://127.0.0.1/secret")
    filled.addresses.fill("")
    filled.add.click()
    chat.expect_chip("warm")


def test_a_lost_connection_and_a_change_of_mind_lose_nothing(
    chat: Chat, filled: Dialog, complaints: Complaints
) -> None:
    complaints.expects("ERR_FAILED")
    filled.name.fill("Kept")
    chat.page.route("**/api/contexts", lambda route: route.abort())
    filled.add.click()
    expect(filled.alert).to_contain_text("could not be sent")
    expect(filled.add).to_be_focused()
    chat.page.unroute("**/api/contexts")
    held: list[Any] = []
    chat.page.route("**/api/contexts", lambda route: held.append(route))
    filled.add.click()
    expect(bar(filled)).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(filled.status).to_have_text("Not sent. All that you chose is still here.")
    expect(filled.chosen).to_have_count(1)
    expect(filled.name).to_have_value("Kept")
    chat.page.unroute("**/api/contexts")
    filled.add.click()
    chat.expect_chip("warm")
    assert chat.stored()["context_name"] == "Kept"


def bar(dialog: Dialog) -> Locator:
    return dialog.root.get_by_role("progressbar")


def test_how_much_has_been_sent_is_shown(chat: Chat, adding: Dialog, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(LONG * 200)
    adding.open().pick(tmp_path / "a.md")
    expect(adding.status).to_have_text("1 file · 2.3 MB · about 770,000 tokens (an estimate by size)")
    adding.status.evaluate(
        """node => {
            window.said = [];
            new MutationObserver(() => window.said.push(node.textContent)).observe(node, {childList: true});
        }"""
    )
    held: list[Any] = []
    chat.page.route("**/api/sessions", lambda route: held.append(route))
    adding.add.click()
    expect(adding.status).to_have_text("Opening a conversation…")
    said: list[str] = chat.page.evaluate("window.said")
    assert "Sending · 2.3 MB of 2.3 MB" in said
    assert said.index("Sending…") < said.index("Sending · 2.3 MB of 2.3 MB") < said.index("Reading…")
    held[0].continue_()
    chat.expect_chip("warm")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_fits_a_phone_in_light_and_dark(chat: Chat, adding: Dialog, tmp_path: Path, scheme: Any) -> None:
    page = chat.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 375, "height": 667})
    adding.open().pick(folder(tmp_path))
    expect(adding.chosen).to_have_count(2)
    adding.left_out.locator("summary").click()
    adding.add.scroll_into_view_if_needed()
    expect(adding.add).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert adding.root.evaluate("node => node.scrollWidth <= node.clientWidth")


def own(chat: Chat) -> Locator:
    """The sheet of the context that is picked, opened."""
    chat.page.locator(".about:visible summary").click()
    return chat.page.locator(".about:visible .sheet")


def test_a_context_of_ones_own_is_deleted_from_its_sheet_and_no_other(chat: Chat) -> None:
    page, picker = chat.page, chat.page.get_by_label("Context")
    expect(own(chat).get_by_text("open to everyone here")).to_be_visible()
    expect(own(chat).get_by_role("button")).to_have_count(0)
    # Nobody else has the same: what another still has is not erased.
    made = chat.add_context("<b>Mine</b>", {"a.md": f"{uuid4()} {LONG}"})
    chat.open(f"/?context={made}")
    chat.expect_state(chat.ask("What is in here?"), "done")
    conversation = page.url
    own(chat).get_by_role("button", name="Delete…").click()
    asking = page.get_by_role("dialog", name="Delete this context?")
    expect(asking).to_contain_text("“<b>Mine</b>” will be erased. Conversations about it stay to be read")
    asking.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Delete…")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(asking).to_be_hidden()
    assert page.request.get(f"{chat.url}/api/contexts/{made}").ok

    page.get_by_role("button", name="Delete…").click()
    asking.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url(f"{chat.url}/")
    expect(picker.locator("option")).to_have_text(["asyncio"])
    assert page.request.get(f"{chat.url}/api/contexts/{made}").status == 404
    chat.expect_state(chat.ask("What is a Future?"), "done")

    page.goto(conversation)
    expect(chat.turns).to_have_count(1)
    refused = chat.ask("And now?")
    chat.expect_state(refused, "failed")
    expect(refused.get_by_role("alert")).to_contain_text("was deleted")


def test_a_context_of_ones_own_is_replaced_by_another_version_that_is_told_the_same(chat: Chat, tmp_path: Path) -> None:
    page, picker, adding = chat.page, chat.page.get_by_label("Context"), Dialog(chat.page)
    told: dict[str, Any] = {"instructions": "Be brief.", "citations": True, "effort": "low", "ttl": "1h"}
    made = chat.add_context("Mine", {"a.md": f"{uuid4()} {LONG}"}, **told)
    chat.open(f"/?context={made}")
    chat.expect_state(chat.ask("What is in here?"), "done")
    before = page.url

    # What was put together to be added is no part of it, and is still there afterwards.
    (tmp_path / "new.md").write_text(LONG)
    adding.open().pick(tmp_path / "new.md")
    expect(adding.chosen).to_have_count(1)
    adding.name.fill("New")
    expect(adding.name).to_have_accessible_description("")
    page.keyboard.press("Escape")
    own(chat).get_by_role("button", name="Replace…").focus()
    page.keyboard.press("Enter")
    replacing = page.get_by_role("dialog", name="Replace “Mine”")
    replace = replacing.get_by_role("button", name="Replace", exact=True)
    expect(replace).to_be_visible()
    expect(adding.name).to_have_value("Mine")
    expect(adding.name).to_have_accessible_description(
        "Replaces yours of that name. Conversations about that one can go on for a day."
    )
    expect(adding.chosen).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Replace…")).to_be_focused()
    page.get_by_role("button", name="Add something to ask about").click()
    expect(adding.add).to_be_visible()
    expect(adding.name).to_have_value("New")
    expect(page.get_by_label("Instructions")).to_have_value("")
    expect(adding.chosen).to_have_count(1)
    page.keyboard.press("Escape")

    own(chat).get_by_role("button", name="Replace…").click()
    adding.name.fill("Mine, too")
    expect(adding.add).to_be_visible()
    expect(adding.name).to_have_accessible_description("")
    adding.name.fill("Mine")
    (tmp_path / "b.md").write_text(f"{uuid4()} {LONG}")
    adding.pick(tmp_path / "b.md")
    replace.click()
    page.wait_for_url(lambda url: url.endswith("#question") and url.split("#")[0] != before)
    expect(picker.locator("option")).to_have_text(["asyncio", "Mine"])
    now = page.request.get(f"{chat.url}/api/contexts/{picker.input_value()}").json()
    assert ([one["title"] for one in now["titles"]], now["instructions"]) == (["b.md"], "Be brief.")
    assert {name: now["parameters"][name] for name in ("citations", "effort", "ttl")} == {
        "citations": True,
        "effort": "low",
        "ttl": "1h",
    }

    page.goto(before)
    expect(chat.turns).to_have_count(1)
    chat.expect_state(chat.ask("And now?"), "done")


def test_another_of_ones_own_that_is_replaced_by_its_name_gets_nothing_of_the_first(chat: Chat, tmp_path: Path) -> None:
    page, adding = chat.page, Dialog(chat.page)
    made = chat.add_context("Mine", {"a.md": f"{uuid4()} {LONG}"}, effort="low")
    chat.add_context("Other", {"a.md": f"{uuid4()} {LONG}"}, effort="high")
    chat.open(f"/?context={made}")
    own(chat).get_by_role("button", name="Replace…").click()
    adding.name.fill("Other")
    (tmp_path / "b.md").write_text(f"{uuid4()} {LONG}")
    page.set_input_files("#files", [tmp_path / "b.md"])
    adding.root.get_by_role("button", name="Replace", exact=True).click()
    page.wait_for_url(lambda url: url.endswith("#question"))
    shown = {one["name"]: one["parameters"] for one in page.request.get(f"{chat.url}/api/contexts").json()["contexts"]}
    assert (shown["Mine"]["effort"], shown["Other"]["effort"]) == ("low", None)


def test_an_address_is_taken_as_people_write_them_and_one_that_is_none_is_said_to_be(
    chat: Chat, complaints: Complaints
) -> None:
    complaints.expects("422")
    adding = Dialog(chat.page).open()
    for written, sent in {
        "example.com/docs": "https://example.com/docs",
        "localhost:8000": "https://localhost:8000",
        "HTTP://example.com": "HTTP://example.com",
    }.items():
        chat.page.route("**/api/contexts", lambda route: route.abort(), times=1)
        complaints.expects("ERR_FAILED")
        adding.addresses.fill(written)
        with chat.page.expect_request("**/api/contexts") as posted:
            adding.add.click()
        assert sent in (posted.value.post_data or "").split()
        expect(adding.alert).to_contain_text("could not be sent")
    adding.addresses.fill("mailto:keeper@example.com")
    adding.add.click()
    expect(adding.alert).to_contain_text("“mailto:keeper@example.com” is not an http:// or https:// address")


def test_the_dialog_opens_when_it_can_take_what_is_put_into_it(chat: Chat) -> None:
    page, adding = chat.page, Dialog(chat.page)
    made = chat.add_context("Mine", {"a.md": f"{uuid4()} {LONG}"})
    chat.open(f"/?context={made}")
    held: list[Route] = []
    page.route("**/uploads.js", lambda route: held.append(route))
    with page.expect_request("**/uploads.js"):
        own(chat).get_by_role("button", name="Replace…").click()
    # Shown before its script was there, it lost a name that was typed and files that were chosen meanwhile.
    expect(page.locator("#adding")).to_be_hidden()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    expect(page.get_by_role("dialog", name="Replace “Mine”")).to_be_visible()
    expect(adding.name).to_have_value("Mine")


def test_a_dialog_that_cannot_be_loaded_says_so_and_is_tried_again_with_what_it_was_to_take(
    chat: Chat, complaints: Complaints
) -> None:
    complaints.expects("ERR_FAILED")
    adding, notice = Dialog(chat.page), chat.page.locator("#notice")
    chat.page.route("**/uploads.js", lambda route: route.abort())
    bring(chat.page, "drop", "a.md", LONG)
    expect(notice).to_contain_text("The server cannot be reached.")
    chat.page.unroute("**/uploads.js")
    notice.get_by_role("button", name="Try again").click()
    expect(adding.root).to_be_visible()
    expect(adding.chosen).to_have_count(1)
    expect(notice).to_be_hidden()


def test_of_two_contexts_with_the_same_content_the_one_that_is_picked_is_shown_and_deleted(chat: Chat) -> None:
    page, text = chat.page, f"{uuid4()} {LONG}"
    made = [chat.add_context(name, {"a.md": text}) for name in ("This/one", "That one")]
    assert made[0] == made[1]
    chat.open(f"/?context={made[0]}")
    expect(page.locator(".about:visible")).to_have_count(1)
    page.get_by_label("Context").select_option(label="This/one")
    chat.expect_state(chat.ask("What is in here?"), "done")
    conversation = page.url
    page.goto(f"{chat.url}/?context={made[0]}")
    page.get_by_label("Context").select_option(label="This/one")
    expect(page.get_by_role("heading", name="Ask about This/one")).to_be_visible()
    expect(page.get_by_role("heading", name="Ask about That one")).to_be_hidden()
    own(chat).get_by_role("button", name="Delete…").click()
    asking = page.get_by_role("dialog", name="Delete this context?")
    expect(asking).to_contain_text("“This/one” will be erased. “That one” has the same documents")
    asking.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url(f"{chat.url}/")
    expect(page.get_by_label("Context").locator("option")).to_have_text(["asyncio", "That one"])
    page.goto(conversation)
    expect(chat.turns).to_have_count(1)
    chat.expect_state(chat.ask("And now?"), "done")


def test_a_context_that_could_not_be_deleted_says_so_and_one_that_is_gone_already_is_gone(
    chat: Chat, complaints: Complaints
) -> None:
    complaints.expects("ERR_FAILED", "404")
    made = chat.add_context("Mine", {"a.md": LONG})
    chat.open(f"/?context={made}")
    chat.page.route("**/api/contexts/*", lambda route: route.abort())
    sheet = own(chat)
    for button in ("Delete…", "Delete"):
        chat.page.get_by_role("button", name=button, exact=True).click()
    expect(sheet.locator(".own").get_by_role("status")).to_have_text("The server cannot be reached.")
    chat.page.unroute("**/api/contexts/*")
    assert chat.page.request.delete(f"{chat.url}/api/contexts/{made}").ok
    for button in ("Delete…", "Delete"):
        chat.page.get_by_role("button", name=button, exact=True).click()
    chat.page.wait_for_url(f"{chat.url}/")
    expect(chat.page.get_by_label("Context").locator("option")).to_have_text(["asyncio"])
