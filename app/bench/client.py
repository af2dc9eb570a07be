"""One reader of a running server, with a stop watch: sessions, warms and questions, timed where the reader sits.

Times are seconds of this machine's clock from when the request is sent. Every question ends in an `Answered`; what the
server refuses, and turns that end without a verdict, are raised as `BenchFailed`.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from app.bench import BenchFailed

# The first token of a large context takes a while; an answer that is silent for this long is none.
TIMEOUT_S = 400.0


@dataclass(frozen=True, slots=True)
class Answered:
    """When a question's answer began, by three measures, and ended; None for what never came."""

    plan: str
    first_byte_s: float
    first_thinking_s: float | None
    ttft_s: float
    total_s: float
    verdict: dict[str, Any]


class Reader:
    """A reader of the server at `url`, with an owner's cookie of their own."""

    def __init__(self, url: str) -> None:
        # Compressed, an answer would reach us in fewer, later pieces.
        self._http = httpx2.Client(base_url=url, timeout=TIMEOUT_S, headers={"accept-encoding": "identity"})

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def stats(self) -> dict[str, Any]:
        """`/api/stats`."""
        return self._call("GET", "/api/stats")

    def context(self, name: str) -> dict[str, Any]:
        """The context that `name` means here. Raises `BenchFailed` with the names there are."""
        contexts = self._call("GET", "/api/contexts")["contexts"]
        for context in contexts:
            if name in (context["name"], context["context"]):
                return dict(context)
        known = ", ".join(context["name"] for context in contexts) or "none"
        raise BenchFailed(f"there is no context “{name}” on that server; there are: {known}")

    def add_context(self, name: str, documents: list[dict[str, str]]) -> dict[str, Any]:
        """Make a context of `documents`."""
        return self._call("POST", "/api/contexts", {"name": name, "documents": documents})

    def session(self, context: str) -> str:
        """A new session over `context` that shares its cache with no other; its id."""
        made = self._call("POST", "/api/sessions", {"context": context, "isolation": "session"})
        return str(made["session"])

    def erase(self, session: str) -> None:
        """Erase `session`."""
        self._call("DELETE", f"/api/sessions/{session}")

    def warm(self, session: str, *, wait: bool = False) -> tuple[dict[str, Any], float]:
        """Say that the input of `session` has focus; the warm, and how long the server took to say so."""
        started = time.perf_counter()
        answer = self._call("POST", f"/api/sessions/{session}/warm", {"trigger": "focus", "wait": wait})
        return answer["warm"], time.perf_counter() - started

    def ask(self, session: str, question: str) -> Answered:
        """Ask `question`, and read the answer to its end."""
        started = time.perf_counter()
        firsts: dict[str, float] = {}
        plan, verdict = "", None
        path = f"/api/sessions/{session}/ask"
        try:
            with self._http.stream("POST", path, json={"question": question}) as response:
                if response.status_code != 200:
                    response.read()
                    raise _refused(response)
                for at, name, data in _events(response.iter_bytes()):
                    kind = data.get("delta", {}).get("type", name) if name == "content_block_delta" else name
                    firsts.setdefault(kind, at - started)
                    plan = data["plan"] if name == "turn" else plan
                    verdict = data if name == "verdict" else verdict
                    if name == "error":
                        raise BenchFailed(f"a question failed: {data.get('detail')}")
        except httpx2.HTTPError as error:
            raise BenchFailed(f"the server stopped answering ({type(error).__name__})") from None
        total = time.perf_counter() - started
        if verdict is None or "text_delta" not in firsts:
            raise BenchFailed("an answer ended without any text; ask another --question")
        return Answered(
            plan, firsts["message_start"], firsts.get("thinking_delta"), firsts["text_delta"], total, verdict
        )

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise BenchFailed(f"no Headstart answers at {self._http.base_url} ({type(error).__name__})") from None
        if response.is_error:
            raise _refused(response)
        try:
            return dict(response.json()) if response.content else {}
        except ValueError:
            raise BenchFailed(f"what answers at {self._http.base_url} is not Headstart") from None


def _refused(response: httpx2.Response) -> BenchFailed:
    try:
        said = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        said = response.text[:200] or "no reason given"
    return BenchFailed(f"{response.request.url.path} was refused with {response.status_code}: {said}")


def _events(chunks: Iterator[bytes]) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """The stream's events, each with when it had arrived."""
    rest = b""
    for chunk in chunks:
        at = time.perf_counter()
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line)
            if b"data" in fields:
                yield at, fields[b"event"].decode(), json.loads(fields[b"data"])
