"""POST /api/contexts as a form: whatever it says, and in whatever encoding, it is understood or refused by name."""

import httpx2
import pytest

from tests.client import Client

Part = tuple[str, bytes]
WHOLE: list[Part] = [('name="name"', b"docs"), ('name="files"; filename="a.md"', b"Alpha.")]


def send(client: Client, parts: list[Part], charset: str = "") -> httpx2.Response:
    said = b"".join(
        b"--x\r\ncontent-disposition: form-data; %b\r\n\r\n%b\r\n" % (about.encode(), content)
        for about, content in parts
    )
    kind = f"multipart/form-data; boundary=x{charset}"
    return client.http.post("/api/contexts", content=said + b"--x--\r\n", headers={"content-type": kind})


def refused(response: httpx2.Response) -> str:
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    return str(error["field"])


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", '; charset="UTF-8"', "; charset=utf8"])
def test_a_form_is_taken_in_utf_8(client: Client, charset: str) -> None:
    named = send(client, [('name="name"', "Straße".encode()), WHOLE[1]], charset)
    assert (named.status_code, named.json().get("name")) == (201, "Straße")


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "unicode_escape", "utf-7", "utf-16", "hex"])
def test_a_form_in_another_charset_is_refused(client: Client, charset: str) -> None:
    # UTF-7 can say lone surrogates, in names of fields too.
    for parts in (WHOLE, [*WHOLE, ('name="+2AA-"; filename="a"', b"a")], [*WHOLE, ('name="urls"', b"http://a/+2AA-")]):
        assert refused(send(client, parts, f"; charset={charset}")) == "content-type"


@pytest.mark.parametrize("number", ["²", "٣", "9" * 5000, "1e3", "-1", "0", "", "1.0", "99999999999"])
def test_a_number_that_is_none_is_refused_by_name(client: Client, number: str) -> None:
    assert refused(send(client, [*WHOLE, ('name="max_tokens"', number.encode())])) == "max_tokens"


def test_a_file_without_a_name_is_told_from_a_field_that_nobody_knows(client: Client) -> None:
    answer = send(client, [WHOLE[0], ('name="files"', b"notes.md")])
    assert refused(answer) == "files"
    assert "files=@notes.md" in answer.json()["detail"]
