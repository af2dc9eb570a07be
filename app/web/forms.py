"""Forms as browsers send them: in UTF-8, whatever a client names as their charset. That could be any of Python's codecs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData

from app.web.problems import invalid

_UTF_8 = (b"utf-8", b"utf8")


@asynccontextmanager
async def form_of(request: Request, *, max_files: int, max_fields: int) -> AsyncIterator[FormData]:
    """The form in the body of `request`; its files are there until the end. Raises a `Problem` for another charset."""
    _, parameters = parse_options_header(request.headers.get("content-type", ""))
    if parameters.get(b"charset", _UTF_8[0]).lower() not in _UTF_8:
        raise invalid("content-type", "forms are taken in UTF-8 alone; leave the charset out")
    async with request.form(max_files=max_files, max_fields=max_fields) as form:
        yield form
