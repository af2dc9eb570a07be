"""Which texts may enter a prompt.

Text is kept byte for byte as UTF-8, never normalised, so what cannot make that trip unchanged is refused here, at the
door, with the place: lone surrogates (they have no UTF-8 form) and NUL (no model reads it and many tools cut at it).
"""


class UnsafeText(ValueError):
    """A text that cannot be sent as it is. `field` is its place in a request, `position` counts characters from 0."""

    def __init__(self, field: str, where: str, position: int, found: str) -> None:
        super().__init__(f"{where} has {found} at character {position}; remove it and send the text again")
        self.field = field
        self.position = position


def check_text(text: str, field: str, where: str) -> None:
    """Raise `UnsafeText` if `text`, which people know as `where`, holds a lone surrogate or NUL."""
    nul = text.find("\0")
    if nul >= 0:
        raise UnsafeText(field, where, nul, "a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnsafeText(field, where, error.start, f"a lone surrogate (U+{ord(text[error.start]):04X})") from None
