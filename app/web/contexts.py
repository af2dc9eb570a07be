"""/api/contexts: what can be asked about."""

import asyncio
import json
import re
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from app.access.limits import Visitor, Work
from app.contexts.documents import AnyDocument, Collected
from app.contexts.drafts import Draft, check_texts, text_document, uploaded_documents
from app.contexts.readers import read_apart
from app.web import context_answers
from app.web.description import gives, problems, ref
from app.web.forms import form_of
from app.web.problems import invalid
from app.web.rooms import Asker, InRooms, Rooms, Visiting
from app.web.schemas import (
    MAX_DOCUMENTS,
    MAX_URL_CHARS,
    MAX_URLS,
    ContextBody,
    ContextForm,
    ContextParameters,
    DocumentBody,
    Index,
    context_json,
    left_out_json,
)

Body = TypeVar("Body", bound=BaseModel)

# What is longer is no number that anybody means, and costs something to read.
_NUMBER = re.compile(r"[0-9]{1,18}")

router = APIRouter(prefix="/api/contexts", tags=["contexts"])

_BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ref(ContextBody)},
            "multipart/form-data": {"schema": ref(ContextForm)},
        },
    }
}
_ADDED = gives(
    201,
    context_answers.AddedContext,
    "The context, and what was left out of it.",
    location="context",
    links={
        "show": {"operationId": "show_context", "parameters": {"context": "$response.body#/context"}},
        "begin": {"operationId": "create_session", "requestBody": {"context": "$response.body#/context"}},
        "delete": {"operationId": "delete_context", "parameters": {"context": "$response.body#/context"}},
    },
)


@router.get("", response_model=None, responses=gives(200, context_answers.Contexts, "The contexts.") | problems())
async def list_contexts(rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """Everyone's contexts and your own."""
    return {"contexts": [context_json(view) for view in await rooms.library.all(asker)]}


@router.post(
    "",
    status_code=201,
    response_model=None,
    openapi_extra=_BODIES,
    responses=_ADDED
    | problems(
        "invalid_request",
        "context_too_large",
        "body_too_large",
        "too_many_contexts",
        "too_many_bytes",
        "limit_reached",
    ),
)
async def add_context(request: Request, rooms: InRooms, visitor: Visiting, response: Response) -> dict[str, Any]:
    """Make a context from texts and URLs (JSON) or files and URLs (multipart). It is yours alone to ask.

    Files may be texts, PDFs and zip archives; a filename may be a path below the folder that was chosen. `skipped` says
    what was left out, and why; `ignored` how many files `.gitignore` files left out.
    """
    async with rooms.limits.arriving(visitor):
        await rooms.limits.work(visitor, Work.ADDING)
        added = await _add(request, rooms, visitor)
    response.headers["Location"] = f"/api/contexts/{added['context']}"
    return added


@router.get(
    "/{context}",
    response_model=None,
    responses=gives(200, context_answers.WholeContext, "The context.") | problems("context_not_found"),
)
async def show_context(context: str, rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """One context, by id or name."""
    return context_json(await rooms.library.get(context, asker), whole=True)


@router.get(
    "/{context}/documents/{number}",
    response_model=None,
    responses=gives(200, context_answers.Reading, "The document, or as much of it as is given at once.")
    | problems("context_not_found", "document_not_found", "invalid_request"),
)
async def show_document(
    context: str, number: Index, rooms: InRooms, asker: Asker, first_line: Index = 0, last_line: Index = 0
) -> dict[str, Any]:
    """A document of a context, to be read: from its beginning, or with some of its lines, from 1, in the middle."""
    view = await rooms.library.get(context, asker)
    read = await rooms.library.reading(view, number, first_line, last_line)
    return asdict(read) | {"bytes": view.titles[number][1]}


@router.delete("/{context}", status_code=204, response_description="Deleted.", responses=problems("context_not_found"))
async def delete_context(
    context: str, rooms: InRooms, asker: Asker, name: Annotated[str | None, Query()] = None
) -> Response:
    """Delete a context of yours: the one that has the name, or, by its id, all that are the same but for their names, or of
    these the one called `name`. Sessions over it can no longer ask, once you have it under no name, unless somebody else
    has added the very same content."""
    await rooms.library.remove(context, asker, name)
    return Response(status_code=204)


async def _add(request: Request, rooms: Rooms, visitor: Visitor) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        parameters, collected, urls = await _from_form(request)
        fetched = await _fetched(rooms, visitor, [("urls", url) for url in urls])
        documents = [*collected.documents, *fetched]
    elif kind == "application/json" or kind.endswith("+json"):
        body = await asyncio.to_thread(_parse_json, await request.body())
        parameters, documents, collected = body, await _from_json(rooms, visitor, body), Collected((), ())
    else:
        raise invalid("content-type", "send application/json or multipart/form-data")
    draft = Draft(
        documents=documents,
        model=parameters.model or rooms.default_model,
        instructions=parameters.instructions,
        max_tokens=parameters.max_tokens,
        thinking=parameters.thinking,
        effort=parameters.effort,
        ttl=parameters.ttl,
        citations=parameters.citations,
    )
    context = await asyncio.to_thread(draft.context)
    added = context_json(await rooms.library.add(visitor.owner, parameters.name, context), whole=True)
    return added | left_out_json(collected.skipped, collected.ignored)


def _parse_json(raw: bytes) -> ContextBody:
    try:
        value = json.loads(raw) if raw else None
    except (ValueError, RecursionError) as error:
        raise invalid("", f"the body is not JSON ({error})") from None
    # Before pydantic, which refuses such texts too, but says neither which document it was nor where in it.
    check_texts(value)
    return _validated(ContextBody, value)


async def _from_json(rooms: Rooms, visitor: Visitor, body: ContextBody) -> list[AnyDocument]:
    asked = [
        (f"documents.{n}.url", one.url) for n, one in enumerate(body.documents) if not isinstance(one, DocumentBody)
    ]
    fetched = iter(await _fetched(rooms, visitor, asked))
    return [
        text_document(one.title, one.text) if isinstance(one, DocumentBody) else next(fetched) for one in body.documents
    ]


async def _from_form(request: Request) -> tuple[ContextParameters, Collected, list[str]]:
    async with form_of(request, max_files=MAX_DOCUMENTS, max_fields=100) as form:
        fields: dict[str, Any] = {}
        files: list[tuple[str, bytes]] = []
        urls: list[str] = []
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != "files":
                    raise invalid(name, "unknown field; files go under “files”")
                files.append((value.filename or f"file {len(files) + 1}", await value.read()))
            elif name == "files":
                raise invalid(name, "not sent as a file: it has no file name (with curl, -F files=@notes.md)")
            elif name == "urls":
                urls.append(value)
            elif name in fields:
                raise invalid(name, "given more than once")
            else:
                fields[name] = value
        check_texts(fields)
        if "instructions" in fields:
            # Whatever was typed, a form sends its lines' ends as CRLF.
            fields["instructions"] = fields["instructions"].replace("\r\n", "\n")
        if "max_tokens" in fields and _NUMBER.fullmatch(fields["max_tokens"]):
            fields["max_tokens"] = int(fields["max_tokens"])
        if fields.get("citations") in ("true", "false"):
            fields["citations"] = fields["citations"] == "true"
        if not files and not urls:
            raise invalid("files", "at least one file or URL is needed")
        parameters = _validated(ContextParameters, fields)
        return parameters, await read_apart(lambda: uploaded_documents(files)), urls


async def _fetched(rooms: Rooms, visitor: Visitor, asked: list[tuple[str, str]]) -> list[AnyDocument]:
    """The documents at the URLs that were `asked` for, given as (field, URL)."""
    fetcher = rooms.fetcher
    if not asked:
        return []
    if fetcher is None:
        raise invalid(asked[0][0], "this server fetches no URLs; send the text or the file instead")
    if len(asked) > MAX_URLS:
        raise invalid(asked[MAX_URLS][0], f"{len(asked)} URLs; at most {MAX_URLS} are fetched for one context")
    if long := next((field for field, url in asked if len(url) > MAX_URL_CHARS), None):
        raise invalid(long, f"the URL has more than {MAX_URL_CHARS:,} characters")
    await rooms.limits.work(visitor, Work.FETCHING, len(asked))
    return list(await asyncio.gather(*(fetcher.fetch(url, field) for field, url in asked)))


def _validated(body: type[Body], value: Any) -> Body:
    try:
        return body.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
