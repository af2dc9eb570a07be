"""The shapes of what the API gives of contexts, for its OpenAPI document; `app.web.answers` has the rest, and says more."""

from pydantic import BaseModel

from app.web import examples
from app.web.answers import Passage
from app.web.examples import Time, like


class Parameters(BaseModel):
    """What a context is asked with."""

    model: str
    max_tokens: int
    thinking: str | None
    effort: str | None
    ttl: str
    citations: bool


class Suspicion(BaseModel):
    """Something in a context that looks as if it will change, and what that would cost."""

    place: str
    what: str
    why: str


class Context(BaseModel):
    """Something that can be asked about."""

    model_config = like(examples.HELD)

    context: str
    name: str
    public: bool
    """Everyone's to ask; else yours alone."""
    model: str
    bytes: int
    tokens: int | None
    """As the upstream counted them; null until it has."""
    documents: int
    pages: int
    """Of PDF, in all."""
    created_at: Time
    parameters: Parameters
    warnings: list[Suspicion]


class Title(BaseModel):
    title: str
    bytes: int


class Reading(Passage):
    """A document, or part of one: the lines that were asked for, if any, and what is around them, at most 200,000
    characters. Of a PDF, which is not kept as text, there are no `chars`."""

    model_config = like(examples.PASSAGE | {"bytes": 66})

    bytes: int
    """Of the document."""


class LeftOut(BaseModel):
    """A file that gave no document."""

    name: str
    reason: str


class Sifted(BaseModel):
    """Which files of a folder to send."""

    model_config = like({"taken": ["docs/a.md"], "skipped": [examples.LEFT_OUT], "ignored": 7})

    taken: list[str]
    skipped: list[LeftOut]
    ignored: int
    """How many files `.gitignore` files leave out."""


class WholeContext(Context):
    """A context with its instructions and the titles of its documents."""

    model_config = like(examples.WHOLE)

    instructions: str | None
    titles: list[Title]


class AddedContext(WholeContext):
    """A context that was just made, with what was left out of it."""

    model_config = like(examples.WHOLE | {"skipped": [examples.LEFT_OUT], "ignored": 0})

    skipped: list[LeftOut]
    ignored: int
    """How many files `.gitignore` files left out."""


class Contexts(BaseModel):
    model_config = like({"contexts": [examples.HELD]})

    contexts: list[Context]
