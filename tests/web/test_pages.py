"""The pages, before anybody has asked for one."""

import subprocess
import sys

from tests.client import Client


def test_the_chat_is_compiled_before_its_first_reader_comes() -> None:
    code = "from app.web.templates import templates; print(*(name for _, name in templates.env.cache))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"base.html", "chat.html"} <= set(ran.stdout.split())


def test_an_asset_is_asked_for_again_and_sent_once(client: Client) -> None:
    first = client.http.get("/static/js/chat.js")
    assert first.headers["cache-control"] == "no-cache"
    assert {"last-modified", "accept-ranges"} & set(first.headers) == set()
    again = client.http.get("/static/js/chat.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.http.get("/static/js/chat.js", headers={"if-none-match": '"another"'})
    assert (other.status_code, other.content) == (200, first.content)
