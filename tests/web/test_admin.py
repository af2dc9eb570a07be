"""Who sees the figures, who must log in, and what pages of other origins may do once they are allowed to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

KEY = "correct horse battery"
FIGURES = ("/dashboard", "/api/stats", "/metrics")
FRONT = "https://front.example"


@pytest.fixture
def serve(redis: RedisProcess, upstream: Recorder) -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(redis.url, upstream.url, **settings))


def codes(url: str, **headers: str) -> list[int]:
    return [httpx2.get(url + path, headers=headers).status_code for path in FIGURES]


# The admin


def test_without_an_admin_key_the_figures_are_this_machines_alone(serve: Callable[..., str]) -> None:
    url = serve()
    assert codes(url) == [200, 200, 200]
    assert codes(url, host="localhost:8000") == [200, 200, 200]
    assert 'href="/dashboard"' in httpx2.get(url).text
    # On loopback alone, such a page is not even asked what it wants: test_hosts.py.
    url = serve(trusted_proxies="127.0.0.1")
    for headers in (
        {"x-forwarded-for": "192.0.2.1"},
        # A page that had its own name lead to this machine.
        {"host": "evil.example"},
        {"host": "evil.example:8000"},
        {"host": "["},
    ):
        assert codes(url, **headers) == [403, 403, 403], headers
        assert 'href="/dashboard"' not in httpx2.get(url, headers=headers).text
    response = httpx2.get(f"{url}/api/stats", headers={"x-forwarded-for": "192.0.2.1"})
    assert response.json()["code"] == "admin_closed"
    assert "HEADSTART_ADMIN_KEY" in response.json()["detail"]


def test_what_somebody_passed_on_is_not_local(serve: Callable[..., str]) -> None:
    url = serve(trusted_proxies="")
    assert codes(url) == [200, 200, 200]
    assert codes(url, **{"x-forwarded-for": "127.0.0.1"}) == [403, 403, 403]
    assert codes(url, forwarded="for=127.0.0.1") == [403, 403, 403]


def test_with_an_admin_key_the_key_opens_them_and_nothing_else(serve: Callable[..., str]) -> None:
    url = serve(admin_key=KEY)
    assert codes(url) == [401, 401, 401]
    assert codes(url, authorization=f"Bearer {KEY}") == [200, 200, 200]
    for wrong in ("Bearer x", f"Bearer {KEY}x", f"Basic {KEY}", "Bearer", "Bearer é"):
        headers = httpx2.Headers([(b"authorization", wrong.encode())])
        assert [httpx2.get(url + path, headers=headers).status_code for path in FIGURES] == [401, 401, 401]
    response = httpx2.get(f"{url}/metrics")
    assert (response.json()["code"], response.headers["www-authenticate"]) == ("admin_required", "Bearer")
    assert 'href="/dashboard"' not in httpx2.get(url).text
    # Health is everyone's, and so is what the API is.
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/"):
        assert httpx2.get(url + path).status_code == 200


def test_a_browser_is_let_in_by_a_form_for_half_a_day(serve: Callable[..., str]) -> None:
    url = serve(admin_key=KEY)
    with httpx2.Client(base_url=url) as browser:
        form = browser.get("/dashboard", headers={"accept": "text/html"})
        assert form.status_code == 401
        assert 'type="password"' in form.text
        wrong = browser.post("/dashboard", data={"key": "guess"})
        assert wrong.status_code == 401
        assert "not the admin key" in wrong.text and "guess" not in wrong.text
        for body in ({}, {"key": ""}, {"other": KEY}):
            assert browser.post("/dashboard", data=body).status_code == 401
        odd = {"content-type": "multipart/form-data; boundary=x; charset=undefined"}
        said = b'--x\r\ncontent-disposition: form-data; name="key"\r\n\r\nguess\r\n--x--\r\n'
        assert browser.post("/dashboard", content=said, headers=odd).status_code == 422
        assert browser.post("/dashboard", data={"key": KEY}, headers={"origin": FRONT}).status_code == 403
        opened = browser.post("/dashboard", data={"key": KEY})
        assert (opened.status_code, opened.headers["location"]) == (303, "/dashboard")
        cookie = opened.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"))
        assert KEY not in cookie
        assert [browser.get(path).status_code for path in FIGURES] == [200, 200, 200]
        assert 'href="/dashboard"' in browser.get("/").text
        value = browser.cookies["headstart_admin"]
    until, _, signature = value.partition(".")
    forged = [f"{int(until) + 1}.{signature}", f"1.{signature}", until, signature, f".{signature}", f"x.{signature}"]
    for other in [*forged, value.upper() + "a", ""]:
        assert codes(url, cookie=f"headstart_admin={other}") == [401, 401, 401], other
    with_another_key = serve(admin_key=KEY + " staple")
    assert codes(with_another_key, cookie=f"headstart_admin={value}") == [401, 401, 401]


def test_over_tls_the_admins_cookie_is_secure(serve: Callable[..., str]) -> None:
    headers = {"x-forwarded-proto": "https"}
    opened = httpx2.post(f"{serve(admin_key=KEY)}/dashboard", data={"key": KEY}, headers=headers)
    assert opened.headers["set-cookie"].startswith("__Host-headstart_admin=")
    assert "Secure" in opened.headers["set-cookie"]


def test_a_short_admin_key_is_refused(serve: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match="could be guessed"):
        serve(admin_key="short")


# Logging in by a proxy


def test_a_trusted_proxy_says_who_is_logged_in(serve: Callable[..., str]) -> None:
    url = serve(login_header="X-Forwarded-User")
    as_ada, as_bob = ({"x-forwarded-user": user} for user in ("ada@example.com", "bob@example.com"))
    with httpx2.Client(base_url=url, headers=as_ada) as one, httpx2.Client(base_url=url, headers=as_bob) as other:
        ada = Client(one)
        ada.add_context()
        session = ada.start()["session"]
        assert not one.cookies
        # The same person, from another browser.
        assert httpx2.get(f"{url}/api/sessions/{session}", headers=as_ada).status_code == 200
        assert other.get(f"/api/sessions/{session}").status_code == 404
    for headers in ({}, {"x-forwarded-user": ""}):
        response = httpx2.get(f"{url}/api/contexts", headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "login_required")
        assert httpx2.get(url, headers={**headers, "accept": "text/html"}).status_code == 401
    assert httpx2.get(f"{url}/healthz").status_code == 200


def test_from_anyone_else_the_header_means_nothing(serve: Callable[..., str]) -> None:
    url = serve(login_header="X-Forwarded-User", trusted_proxies="10.0.0.0/8")
    response = httpx2.get(f"{url}/api/contexts", headers={"x-forwarded-user": "ada@example.com"})
    assert (response.status_code, response.json()["code"]) == (401, "login_required")
    # Nor where nobody has said that it means anything.
    url = serve()
    session = ""
    for user in ("ada", "bob"):
        with httpx2.Client(base_url=url, headers={"x-forwarded-user": "ada"}) as http:
            if user == "ada":
                session = Client(http).start("asyncio")["session"]
            else:
                assert http.get(f"/api/sessions/{session}").status_code == 404


# Pages of other origins


def preflight(url: str, origin: str, method: str = "POST") -> httpx2.Response:
    asked = {"access-control-request-method": method, "access-control-request-headers": "authorization, content-type"}
    return httpx2.options(f"{url}/api/sessions", headers={"origin": origin, **asked})


def test_a_page_of_an_allowed_origin_may_use_the_api(serve: Callable[..., str]) -> None:
    url = serve(cors_origins=f"{FRONT}, http://localhost:3000")
    for method in ("POST", "DELETE"):
        answer = preflight(url, FRONT, method)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == FRONT
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert method in answer.headers["access-control-allow-methods"]
    page = {"origin": FRONT, "sec-fetch-site": "cross-site", "x-forwarded-proto": "https"}
    with httpx2.Client(base_url=url, headers=page) as http:
        begun = http.post("/api/sessions", json={"context": "asyncio"})
        assert begun.status_code == 201
        # The browser keeps it for this site's page under that one alone, and sends it along from there.
        assert all(word in begun.headers["set-cookie"] for word in ("SameSite=None", "Secure", "Partitioned"))
        token = begun.headers["set-cookie"].partition(";")[0]
        session = begun.json()["session"]
        asked = http.post(f"/api/sessions/{session}/ask", json={"question": "?"}, headers={"cookie": token})
        assert asked.status_code == 200
        for response in (begun, asked, http.get("/api/sessions/none"), http.post("/api/sessions", json={})):
            assert response.headers["access-control-allow-origin"] == FRONT
            assert "Turn-Id" in response.headers["access-control-expose-headers"]
            assert "origin" in response.headers["vary"].lower()


def test_a_page_of_the_same_site_is_sent_the_same_cookie_as_ours(serve: Callable[..., str]) -> None:
    url = serve(cors_origins=FRONT)
    headers = {"origin": FRONT, "sec-fetch-site": "same-site", "x-forwarded-proto": "https"}
    assert "SameSite=Lax; Secure" in httpx2.get(f"{url}/api/contexts", headers=headers).headers["set-cookie"]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://front.example", f"{FRONT}.evil.example", "null"])
def test_a_page_of_any_other_origin_may_not(serve: Callable[..., str], origin: str) -> None:
    url = serve(cors_origins=FRONT)
    assert "access-control-allow-origin" not in preflight(url, origin).headers
    headers = {"origin": origin, "sec-fetch-site": "cross-site"}
    assert "access-control-allow-origin" not in httpx2.get(f"{url}/api/contexts", headers=headers).headers
    response = httpx2.post(f"{url}/api/sessions", json={"context": "asyncio"}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "cross_site")


def test_nothing_is_allowed_unless_somebody_allows_it(serve: Callable[..., str]) -> None:
    url = serve()
    assert "access-control-allow-origin" not in httpx2.get(url, headers={"origin": FRONT}).headers
    assert "access-control-allow-origin" not in preflight(url, FRONT).headers


@pytest.mark.parametrize("wrong", ["*", "front.example", "https://front.example/", "https://*.front.example", "x"])
def test_what_is_no_origin_is_no_setting(serve: Callable[..., str], wrong: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        serve(cors_origins=wrong)
