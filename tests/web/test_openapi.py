"""The OpenAPI document: whole, consistent in itself, and true of what the API answers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel

from app.web import answers, context_answers
from app.web.codes import CODES, STATUSES
from tests.client import Client
from tests.recorder import Recorder, refuse

WEB = Path(__file__).resolve().parents[2] / "app" / "web"
PROBLEM = "application/problem+json"


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.http.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in `value`."""
    if isinstance(value, dict):
        yield value
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inside)


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validator_for({"components": document["components"], **schema}).validate(value)


def test_every_operation_says_what_it_does_under_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names) > 15
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    tags = {tag["name"] for tag in document["tags"]}
    for where, operation in operations(document):
        assert operation["description"] and set(operation["tags"]) <= tags, where
    assert document["servers"] and document["info"]["description"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    called = {operation["operationId"] for _, operation in operations(document)}
    linked = {node["operationId"] for _, operation in operations(document) for node in nodes(operation["responses"])
              if "operationId" in node}  # fmt: skip
    assert linked and linked <= called


def test_every_body_has_an_example_and_every_example_is_one(document: dict[str, Any]) -> None:
    seen = 0
    for schema in nodes(document["components"]["schemas"]):
        for example in schema.get("examples", []):
            check(document, schema, example)
            seen += 1
    for where, operation in operations(document):
        for status, response in operation["responses"].items():
            for kind, media in response.get("content", {}).items():
                for named in media.get("examples", {}).values():
                    check(document, media["schema"], named["value"])
                    assert named["value"]["status"] == int(status), where
                    seen += 1
                assert kind != PROBLEM or media["examples"], where
    assert seen > 60


def test_every_problem_stands_where_it_can_happen_with_the_status_it_has(document: dict[str, Any]) -> None:
    described = {
        code
        for _, operation in operations(document)
        for response in operation["responses"].values()
        for code in response.get("content", {}).get(PROBLEM, {}).get("examples", {})
    }
    elsewhere = {"not_found", "method_not_allowed", "link_not_found"}  # no route's, and a page's
    assert described == set(STATUSES) - elsewhere
    assert set(STATUSES) <= set(CODES)
    sources = "".join(path.read_text() for path in [*WEB.glob("*.py"), WEB.parent / "turns" / "problems.py"])
    raised = re.findall(r"\bProblem\(\s*(\d{3}),\s*\"(\w+)\"", sources)
    raised += [
        (status, code) for status, code in re.findall(r"problem\(\s*\"[^\"]+\",\s*(\d{3}),\s*\"(\w+)\"", sources)
    ]
    assert len(raised) > 6
    of_streams = {"turn_abandoned"}
    assert {code: int(status) for status, code in raised if code not in of_streams}.items() <= STATUSES.items()


def strictly(shape: type[BaseModel], value: Any) -> None:
    """That `value` has every member of `shape`, and no other."""
    shape.model_validate(value, extra="forbid")


def test_every_answer_of_a_conversation_has_its_shape_and_nothing_more(client: Client, upstream: Recorder) -> None:
    context = client.add_context(instructions="Be brief.", documents=[{"title": "a", "text": "As of 2026-03-01."}])
    strictly(context_answers.AddedContext, context)
    strictly(context_answers.WholeContext, client.http.get("/api/contexts/docs").json())
    strictly(context_answers.Sifted, client.http.post("/api/sift", json={"paths": ["docs/a", "docs/.env"]}).json())
    assert context["warnings"]
    strictly(context_answers.Contexts, client.http.get("/api/contexts").json())
    begun = client.start()
    strictly(answers.Session, begun)
    session = begun["session"]
    for wait in (False, True):
        strictly(answers.Warmed, {"warm": client.warm(session, wait=wait)})
    got = client.ask(session, "Why?")
    strictly(answers.TurnBegun, got[0].data)
    strictly(answers.Verdict, got[-1].data)
    upstream.script.append(refuse(400, "invalid_request_error"))
    failed = client.ask(session, "Why not?")
    strictly(answers.ProblemDetails, failed[-1].data)
    conversation = client.session(session)
    strictly(answers.Conversation, conversation)
    assert [turn["state"] for turn in conversation["turns"]] == ["done", "failed"]
    stopping = client.http.post(f"/api/turns/{got[0].data['turn']}/stop")
    strictly(answers.Stopping, stopping.json())


def test_what_was_made_says_where_it_is(client: Client) -> None:
    made = client.http.post("/api/contexts", json={"name": "n", "documents": [{"title": "a", "text": "b"}]})
    assert client.http.get(made.headers["location"]).json().items() <= made.json().items()
    begun = client.http.post("/api/sessions", json={"context": "n"})
    forked = client.http.post(f"{begun.headers['location']}/fork", json={"after_turn": 0})
    for answer in (begun, forked):
        assert client.http.get(answer.headers["location"]).json()["session"] == answer.json()["session"]


def test_the_page_about_the_api_says_it_too(client: Client, document: dict[str, Any]) -> None:
    page = client.http.get("/docs").text
    for where, operation in operations(document):
        assert f'id="{operation["operationId"]}"' in page, where
        assert where.partition(" ")[2] in page
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in page or "properties" not in document["components"]["schemas"][name], name
