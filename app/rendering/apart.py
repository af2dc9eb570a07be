"""An answer's HTML for a file that is read on its own: no button does anything there, and a mark leads to a list."""

import re
from collections.abc import Iterable

from app.rendering.citations import Source

# As the sanitizer writes them: every value is quoted, and has no quote in it.
_BUTTON = re.compile(r'<button(?P<attributes>(?: [a-z-]+="[^"]*")*)>(?P<text>[^<]*)</button>')


def apart(blocks: Iterable[str], sources: Iterable[Source], name: str) -> str:
    """The sanitized `blocks` of an answer as one text. Its mark 1 leads to the element `<name>-1`, which the reader of the
    file is to find its first source at."""
    known = {str(number): f"{name}-{number}" for number, _ in enumerate(sources, 1)}

    def instead(button: re.Match[str]) -> str:
        to = known.get(button["text"]) if ' class="cite"' in button["attributes"] else None
        return f'<a class="cite" href="#{to}">{button["text"]}</a>' if to else ""

    return _BUTTON.sub(instead, "".join(blocks))
