"""Text that is still being written: what it will most likely be, so that no star or bracket shows up only to vanish.

A guess for the moment, for the open end of an answer alone; what is finished is rendered as it was written.
"""

import re

_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((?:h|mailto)[^()\s]*\Z")
_MARKS = ("**", "~~")
_LONGEST = 4_000


def completed(text: str, said: str) -> str:
    """`text` with what its last piece `said` has begun and not ended yet: code, bold, strikethrough, a link's address."""
    if len(said) > _LONGEST or not text.endswith(said):
        return text
    plain = _CODE.sub("", said)
    opened = re.search(r"`+", plain)
    if opened:
        # The ticks alone say nothing yet.
        return text.removesuffix(opened.group()) if said.endswith(opened.group()) else text + opened.group()
    link = _LINK.search(said)
    if link:
        return text[: len(text) - len(link.group())] + link.group(1)
    for mark in _MARKS:
        if plain.count(mark) % 2:
            return text.removesuffix(mark) if text.endswith(mark) else text.removesuffix(mark[0]) + mark
    return text
