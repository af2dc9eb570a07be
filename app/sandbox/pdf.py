"""PDFs in requests: how many pages they have, what is written on them, and why the API refuses some. Read with pypdf,
once for each file: a conversation sends the same file again with every question. pypdf is loaded with the first one."""

import base64
import binascii
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from typing import Any

NOT_VALID = "The PDF specified was not valid."
LOCKED = "The PDF specified is password protected."
# Reading takes tens of milliseconds a page; quotes come from these.
READ_PAGES = 100
_KEPT_FILES = 64


@dataclass(slots=True)
class Reading:
    """A file as it was read: its `pages`, the `texts` of the first of them, and the `refusal`, empty when there is none."""

    pages: int = 0
    texts: tuple[str, ...] = ()
    refusal: str = ""


_lock = threading.Lock()
_kept: OrderedDict[bytes, Reading] = OrderedDict()


def read(data: str) -> Reading:
    """The file whose base64 `data` is."""
    digest = blake2b(data.encode(), digest_size=16).digest()
    with _lock:
        reading = _kept[digest] = _kept.get(digest) or _read(data)
        _kept.move_to_end(digest)
        while len(_kept) > _KEPT_FILES:
            _kept.popitem(last=False)
    return reading


def _read(data: str) -> Reading:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    unreadable = (PyPdfError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
    try:
        reader = PdfReader(BytesIO(base64.b64decode(data, validate=True)))
        if reader.is_encrypted:
            return Reading(refusal=LOCKED)
        pages = len(reader.pages)
    except (binascii.Error, *unreadable):
        return Reading(refusal=NOT_VALID)
    if not pages:
        return Reading(refusal=NOT_VALID)
    texts = []
    for page in reader.pages[:READ_PAGES]:
        try:
            texts.append(page.extract_text())
        except unreadable:
            texts.append("")
    return Reading(pages, tuple(texts))


def is_pdf(block: dict[str, Any]) -> bool:
    """Whether a block is a document that brings its PDF along."""
    return bool(block["type"] == "document" and block["source"]["type"] == "base64")
