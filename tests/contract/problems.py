"""How the contract has refusals said, and ids that nobody has."""

from typing import Any

import httpx2

MEMBERS = {"type": str, "title": str, "status": int, "detail": str, "code": str, "retryable": bool}
NOBODYS_SESSION = "s_" + "0" * 32
NOBODYS_TURN = "t_" + "0" * 64
JSON = {"content-type": "application/json"}


def assert_problem(response: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """That `response` is problem details with every member that the contract names; its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    for member, kind in MEMBERS.items():
        assert isinstance(body[member], kind), member
    assert body["status"] == status
    assert code in (None, body["code"])
    return body


def assert_names(response: httpx2.Response, field: str) -> str:
    """That `response` is a 422 for `field` alone; what it says of it."""
    body = assert_problem(response, 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == [field]
    message: str = body["errors"][0]["message"]
    assert message
    assert message in body["detail"]
    return message
