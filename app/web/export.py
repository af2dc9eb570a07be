"""A conversation as a file to keep: a page to pass on, Markdown to go on with, JSON for programs."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from app.rendering.citations import Source
from app.rendering.closing import closed
from app.turns.conversations import Session, TurnView
from app.turns.finding import automatic_title
from app.warm.state import rfc3339
from app.web.inline import BASE_CSS, EXPORT_CSS
from app.web.numbers import duration, money
from app.web.templates import templates

# By turn: an answer's HTML, and its sources.
Answers = Mapping[str, tuple[str, list[Source]]]

_MAX_NAME_CHARS = 60
_CACHE = {"hit": "cache hit", "partial": "partial cache hit", "miss": "cache miss", "uncacheable": "not cached"}
_STATES = {"running": "Still being answered.", "stopped": "Stopped here.", "failed": "Could not be answered."}


def exported(session: Session, title: str, turns: list[dict[str, Any]]) -> dict[str, Any]:
    """The file as JSON; `turns` are as the session's own answer has them."""
    return {
        "session": session.id,
        "title": title,
        "context": session.context,
        "context_name": session.context_name,
        "model": session.parameters["model"],
        "created_at": rfc3339(session.created_ms),
        "turns": turns,
    }


def markdown(session: Session, title: str, turns: Sequence[TurnView]) -> str:
    """The file as Markdown: questions as quotations, answers as they were written, with an end where they were broken off,
    and a line about each."""
    parts = [f"# {_heading(title)}", _about(session)]
    for turn in turns:
        parts += [f"## {turn.number}", _quoted(turn.question), closed(turn.answer.strip()), f"*{_line(turn, session)}*"]
    return "\n\n".join(part for part in parts if part) + "\n"


def page(session: Session, title: str, turns: Sequence[TurnView], answers: Answers, *, shared: bool = False) -> str:
    """The file as a page of its own, which runs nothing and fetches nothing, wherever it is opened; `answers` have the
    sanitized HTML of each turn's, and its sources. Whoever it is passed on to is not told what it cost, or why something
    failed. A `shared` one is at an address of this server, which sends its policy and its icon."""
    shown = [
        {"number": turn.number, "question": turn.question.strip(), "line": _briefly(turn, session)}
        | dict(zip(("html", "sources"), answers.get(turn.turn, ("", [])), strict=True))
        for turn in turns
        if not turn.came_to_nothing
    ]
    file = templates.get_template("export.html")
    return file.render(
        title=_heading(title), about=_about(session), turns=shown, css=BASE_CSS + EXPORT_CSS, shared=shared
    )


def disposition(title: str, kind: str) -> str:
    """The header that names the file: in ASCII for everyone, and as it is for who can read that."""
    name = "".join(char if _is_safe(char) else " " for char in unicodedata.normalize("NFC", title))
    name = " ".join(name.split())[:_MAX_NAME_CHARS].strip(" .") or "conversation"
    plain = re.sub(r"[^A-Za-z0-9 _-]+", "", unicodedata.normalize("NFKD", name)).strip() or "conversation"
    return f"attachment; filename=\"{plain}.{kind}\"; filename*=UTF-8''{quote(name, safe='')}.{kind}"


def _heading(title: str) -> str:
    return automatic_title(title) or "Conversation"


def _about(session: Session) -> str:
    return f"Asked about {session.context_name} ({session.parameters['model']}), begun {_time(session.created_ms)}."


def _is_safe(char: str) -> bool:
    """Whether a file's name may have it on every system: no separators, no wildcards, nothing that cannot be seen."""
    return char.isprintable() and char not in '/\\:*?"<>|%' and not "\ud800" <= char <= "\udfff"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _briefly(turn: TurnView, session: Session) -> str:
    return " ".join(filter(None, (_STATES.get(turn.state.value), _asked(turn, session))))


def _asked(turn: TurnView, session: Session) -> str:
    other = turn.model and turn.model != session.parameters["model"]
    return f"Asked {_time(turn.asked_ms)}{f', of {turn.model}' if other else ''}."


def _line(turn: TurnView, session: Session) -> str:
    facts = [_STATES.get(turn.state.value, "")]
    if turn.problem is not None:
        facts.append(str(turn.problem.get("detail") or ""))
    verdict = turn.verdict or {}
    if verdict.get("ttft_ms") is not None:
        facts.append(
            f"First text after {duration(verdict['ttft_ms'])}, {_CACHE.get(verdict['cache'], verdict['cache'])}."
        )
    if verdict.get("cold_ms") is not None and verdict.get("cache") in ("hit", "partial"):
        facts.append(f"About {duration(verdict['cold_ms'])} cold.")
    if verdict.get("cost_usd") is not None:
        facts.append(f"{money(verdict['cost_usd'])}.")
    facts.append(_asked(turn, session))
    # An upstream's word on what went wrong may have several lines.
    return " ".join(" ".join(facts).split())


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
