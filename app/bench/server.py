"""A Headstart of the bench's own: like `headstart serve`, but with a Redis that is thrown away, and without limits.

It runs as a process of its own, so that measuring takes nothing from what is measured. When the bench ends, however it
ends, the server ends too: it watches its standard input, which is our pipe.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.bench import BenchFailed
from app.contexts.library import Library, UnknownContext
from app.processes import EmbeddedRedis
from app.settings import Settings
from app.store.connection import Store
from app.store.contexts import PUBLIC, Contexts

STARTED_WITHIN_S = 60.0
STOPPED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05
_ADDRESS = re.compile(r"is at (http://\S+)")


@contextmanager
def own_server(settings: Settings, context: str | None, **environment: str) -> Iterator[str]:
    """Run a server, with the stored context that is called `context` if there is one; its URL. Raises `BenchFailed`."""
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder, EmbeddedRedis(Path(folder)) as redis:
        if context is not None:
            _bring(settings, context, redis.url)
        log = Path(folder) / "server.log"
        overrides = {"HEADSTART_REDIS_URL": redis.url, "HEADSTART_LIMITS": "off", "HEADSTART_LOG_LEVEL": "info"}
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "app.bench.server"],
                env={**os.environ, **overrides, **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield _address(child, log)
        finally:
            child.terminate()
            try:
                child.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()


def _address(child: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where the server is, once it says so."""
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until:
        said = log.read_text("utf-8", "replace")
        found = _ADDRESS.search(said)
        # uvicorn answers from a moment after this line was written; connections wait until then.
        if found:
            return found[1]
        if child.poll() is not None:
            raise BenchFailed(f"the server did not start: {(said.strip().splitlines() or ['no reason given'])[-1]}")
        time.sleep(LOOK_EVERY_S)
    raise BenchFailed(f"the server did not start within {STARTED_WITHIN_S:.0f} s")


def _bring(settings: Settings, name: str, target: str) -> None:
    """Copy the context called `name` from where `settings` keep contexts, if they keep any and it is there."""
    if settings.redis_url is not None:
        asyncio.run(_copy(name, settings.redis_url, target))
    elif settings.data_dir.exists():
        with EmbeddedRedis(settings.data_dir) as kept:
            asyncio.run(_copy(name, kept.url, target))


async def _copy(name: str, source: str, target: str) -> None:
    stores = Store(source), Store(target)
    theirs, ours = (Contexts(store) for store in stores)
    try:
        view = await Library(theirs).get(name, PUBLIC)
        about, fragments = await theirs.about(view.id), await theirs.fragments(view.id)
        if about is not None and fragments is not None:
            about.pop("tokens")
            # The sample would take the name of a context that is called as it is.
            await ours.claim_sample()
            await ours.put(view.id, PUBLIC, view.name, about, fragments)
    except UnknownContext:
        return
    finally:
        for store in stores:
            await store.close()


def _serve_while_watched() -> None:
    from app.serving import serve

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=watch, daemon=True).start()
    try:
        serve(Settings(host="127.0.0.1", port=0))
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    _serve_while_watched()
