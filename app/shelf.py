"""`headstart contexts add | list | show | rm`: what each does with the library, and what it prints."""

import argparse

from app.contexts.drafts import Draft, check_texts
from app.contexts.library import ContextView, Library, UnknownContext
from app.contexts.sources import collect
from app.prompt.lint import lint_context
from app.refused import Refused
from app.store.contexts import PUBLIC


async def add(library: Library, parsed: argparse.Namespace, default_model: str) -> None:
    """Make a context of files and folders, and say what was left out and what looks dynamic. Raises `Refused`."""
    if not parsed.name.strip():
        raise Refused("the name is empty")
    check_texts({"name": parsed.name, "model": parsed.model, "instructions": parsed.instructions})
    try:
        collected = collect(parsed.paths)
    except OSError as error:
        raise Refused(f"cannot read {error.filename}: {error.strerror}") from None
    for skipped in collected.skipped:
        print(f"left out: {skipped.title} ({skipped.reason})")
    if not collected.documents:
        raise Refused("no text file or PDF was found there, so there is nothing to ask about")
    draft = Draft(
        documents=collected.documents,
        model=parsed.model or default_model,
        instructions=parsed.instructions,
        max_tokens=parsed.max_tokens,
        thinking=parsed.thinking,
        effort=parsed.effort,
        ttl=parsed.ttl,
        citations=parsed.citations,
    )
    context = draft.context()
    replaced = parsed.name in [view.name for view in await library.all(PUBLIC)]
    view = await library.add(PUBLIC, parsed.name, context)
    for warning in lint_context(context):
        print(f"warning: {warning.place} {warning.what}. {warning.why}")
    print(f"{'replaced' if replaced else 'added'} {_line(view)}")


async def list_all(library: Library) -> None:
    """One line for each context."""
    for view in await library.all(PUBLIC):
        print(_line(view))


async def show(library: Library, name: str) -> None:
    """One context with its parameters, warnings and documents. Raises `Refused`."""
    view = await _found(library, name)
    print(_line(view))
    parameters = view.parameters
    print(f"max_tokens {parameters.max_tokens}, thinking {parameters.thinking or 'default'}, ", end="")
    print(
        f"effort {parameters.effort or 'default'}, ttl {parameters.ttl}, citations {'on' if parameters.citations else 'off'}"
    )
    print(f"instructions: {view.instructions or 'none'}")
    for warning in view.warnings:
        print(f"warning: {warning['place']} {warning['what']}")
    for title, size in view.titles:
        print(f"{size:>12,}  {title}")


async def remove(library: Library, name: str) -> None:
    """Remove a context. Raises `Refused`."""
    view = await _found(library, name)
    await library.remove(view.name, PUBLIC)
    print(f"removed {view.name}")


async def _found(library: Library, name: str) -> ContextView:
    try:
        return await library.get(name, PUBLIC)
    except UnknownContext:
        known = ", ".join(view.name for view in await library.all(PUBLIC)) or "none"
        raise Refused(f"there is no context “{name}”; there are: {known}") from None


def _line(view: ContextView) -> str:
    tokens = f", {view.tokens:,} tokens" if view.tokens is not None else ""
    return (
        f"{view.name}  {view.parameters.model}  {len(view.titles)} documents, {view.bytes:,} bytes{tokens}  {view.id}"
    )
