"""The pages, before anybody has asked for one."""

import subprocess
import sys

import httpx2
import pytest

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


def test_everybody_has_their_own_page_and_as_they_left_it(client: Client, server: str) -> None:
    with httpx2.Client(base_url=server, timeout=30) as http:
        other = Client(http)
        client.add_context("Mine alone")
        other.add_context("Of the other")
        for _ in range(2):
            mine, theirs = (one.http.get("/").text for one in (client, other))
            assert ("Mine alone" in mine, "Of the other" in mine) == (True, False)
            assert ("Mine alone" in theirs, "Of the other" in theirs) == (False, True)
        looks = [
            {},
            {"headstart_theme": "dark"},
            {"headstart_theme": '"><script>'},
            {"headstart_sidebar": "closed"},
            {"headstart_sidebar": "x"},
        ]
        own = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
        pages = [
            http.get(
                "/", headers={"cookie": "; ".join([own, *(f"{name}={value}" for name, value in look.items())])}
            ).text
            for look in looks
        ]
        assert pages[0] == pages[2] == pages[4] == theirs
        assert ('data-theme="dark"' in pages[1], 'data-sidebar="closed"' in pages[3]) == (True, True)
        other.add_context("And another")
        assert "And another" in http.get("/").text
        plain = http.get("/", headers={"accept-encoding": "identity"})
        assert (plain.headers.get("content-encoding"), plain.text) == (None, http.get("/").text)


@pytest.mark.parametrize("path", ["/", "/dashboard", "/docs", "/healthz", "/readyz"])
def test_of_what_a_monitor_watches_the_head_alone_can_be_asked_for(client: Client, path: str) -> None:
    whole, head = client.http.get(path), client.http.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    changing = {"date", "set-cookie", "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in whole.headers.items() if name not in changing
    }
