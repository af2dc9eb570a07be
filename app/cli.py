"""The command line: `headstart serve | sandbox | contexts | keys | bench | doctor`. Its --help is its manual."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app import arguments, keyring, shelf
from app.access.apikeys import ApiKeys
from app.bench import BenchFailed
from app.contexts.drafts import InvalidDraft
from app.contexts.library import ContextTooLarge, Library
from app.misspelt import unknown_variables
from app.models import set_local_models
from app.processes import CannotStart, EmbeddedRedis, at_fault, undisturbed
from app.prompt.context import DEFAULT_MAX_TOKENS
from app.refused import Refused
from app.settings import Settings, variable
from app.store.apikeys import StoredKeys
from app.store.connection import Store, StoreUnavailable
from app.store.contexts import Contexts

EFFORTS = ("low", "medium", "high", "xhigh", "max")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit status 1 with one line on stderr when it cannot be carried out."""
    parsed = _parser().parse_args(arguments)
    # Whatever ends us, children are ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        parsed.run(parsed)
    except KeyboardInterrupt:
        sys.exit(130)
    except (Refused, CannotStart, StoreUnavailable, InvalidDraft, ContextTooLarge, BenchFailed) as error:
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headstart",
        description="Start the answer before the question is finished: a chat over a large context, at cached speed.",
        epilog="Settings come from the environment or from .env; the README lists them.",
    )
    parser.add_argument("--version", action="version", version=f"headstart {version('headstart')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_sandbox(commands)
    _add_contexts(commands)
    _add_keys(commands)
    _add_bench(commands)
    _add_doctor(commands)
    return parser


Commands = argparse._SubParsersAction  # the only name argparse has for what add_subparsers returns


def _add_serve(commands: "Commands[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="start the server",
        description="Start the server, and with it what is not configured: the sandbox when there is neither "
        "ANTHROPIC_API_KEY nor ANTHROPIC_BASE_URL, an embedded Redis when there is no HEADSTART_REDIS_URL.",
        epilog="Ctrl-C stops everything that was started.",
    )
    serve.add_argument("--host", help="the address to listen on (HEADSTART_HOST, 127.0.0.1)")
    serve.add_argument("--port", type=arguments.port, help="the port, 0 for a free one (HEADSTART_PORT, 8000)")
    serve.set_defaults(run=_serve)


def _add_sandbox(commands: "Commands[argparse.ArgumentParser]") -> None:
    sandbox = commands.add_parser(
        "sandbox",
        help="start the offline Messages API on its own",
        description="Start the sandbox: an offline Messages API with the real rules of prompt caching, calibrated "
        "times, and answers quoted from the documents it is given. Any key is accepted.",
        epilog="Point the SDK at it: ANTHROPIC_BASE_URL=http://127.0.0.1:9000 ANTHROPIC_API_KEY=any",
    )
    sandbox.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    sandbox.add_argument(
        "--port", type=arguments.port, default=9000, help="the port, 0 for a free one (default: %(default)s)"
    )
    sandbox.add_argument(
        "--profile", default="cookbook", help="where the times come from: cookbook or instant (default: %(default)s)"
    )
    sandbox.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster than real time it answers (default: 1)"
    )
    sandbox.add_argument("--seed", type=int, default=0, help="another seed gives other ids (default: %(default)s)")
    sandbox.add_argument(
        "--control", action="store_true", help="serve the control API: turn the clock, order faults, read the log"
    )
    sandbox.add_argument("--fd", type=int, help="serve on this inherited, listening socket instead of host and port")
    sandbox.add_argument("--watch-stdin", action="store_true", help="end when standard input ends")
    sandbox.add_argument("--quiet", action="store_true", help="do not print the address")
    sandbox.set_defaults(run=_sandbox)


def _add_contexts(commands: "Commands[argparse.ArgumentParser]") -> None:
    contexts = commands.add_parser(
        "contexts",
        help="add, list, show or remove what can be asked about",
        description="Manage the contexts that everyone who reaches the server can ask about.",
    )
    actions = contexts.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add",
        help="make a context of files and folders",
        description="Make a context of files and folders: text files, sorted, as .gitignore allows. What is binary or "
        "empty, may hold secrets or was installed is left out and named. A context that had the name before is replaced.",
    )
    add.add_argument("name", metavar="NAME", help="what people will call it")
    add.add_argument("paths", metavar="PATH", type=arguments.path, nargs="+", help="a file or folder")
    add.add_argument("--instructions", metavar="TEXT", help="what the model is told before the documents")
    add.add_argument("--model", help="the model to ask (HEADSTART_MODEL)")
    add.add_argument("--max-tokens", type=int, help=f"the longest answer, in tokens ({DEFAULT_MAX_TOKENS})")
    add.add_argument(
        "--thinking", choices=("adaptive", "disabled", "between_tools"), help="how it thinks (the model's default)"
    )
    add.add_argument("--effort", choices=EFFORTS, help="how hard it tries (the model's default)")
    add.add_argument(
        "--ttl", choices=("5m", "1h", "auto"), default="auto", help="how long the cache is kept; auto chooses by use"
    )
    add.add_argument(
        "--citations", action="store_true", help="have answers say where in the documents they have it from"
    )
    add.set_defaults(run=_add_context)
    listing = actions.add_parser("list", help="list the contexts", description="List the contexts.")
    listing.set_defaults(run=lambda _: _with_library(shelf.list_all))
    show = actions.add_parser("show", help="show one context", description="Show one context and its documents.")
    show.add_argument("name", metavar="NAME", help="its name or id")
    show.set_defaults(run=lambda parsed: _with_library(lambda library: shelf.show(library, parsed.name)))
    remove = actions.add_parser(
        "rm", help="remove a context", description="Remove a context. Sessions over it can no longer ask."
    )
    remove.add_argument("name", metavar="NAME", help="its name or id")
    remove.set_defaults(run=lambda parsed: _with_library(lambda library: shelf.remove(library, parsed.name)))


def _add_keys(commands: "Commands[argparse.ArgumentParser]") -> None:
    keys = commands.add_parser(
        "keys",
        help="add, list or revoke API keys",
        description="Manage the API keys of servers that ask on behalf of their own users. A key is an owner of its own.",
    )
    actions = keys.add_subparsers(title="actions", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add", help="make a key", description="Make a key and show it, once: only its hash is kept."
    )
    add.add_argument("name", metavar="NAME", help="whose it is")
    add.add_argument(
        "--usd-per-day", type=arguments.usd, metavar="USD", help="what its questions and warms may cost in a day"
    )
    add.add_argument(
        "--turns-per-minute", type=arguments.count, metavar="N", help="how many questions it may ask in a minute"
    )
    add.set_defaults(run=lambda parsed: _with_store(lambda store: keyring.add(ApiKeys(StoredKeys(store)), parsed)))
    listing = actions.add_parser("list", help="list the keys", description="List the keys, without their secrets.")
    listing.set_defaults(run=lambda _: _with_store(lambda store: keyring.list_all(ApiKeys(StoredKeys(store)))))
    revoke = actions.add_parser("revoke", help="have a key count no more", description="Revoke a key, at once.")
    revoke.add_argument("name", metavar="NAME", help="its name or id")
    revoke.set_defaults(
        run=lambda parsed: _with_store(lambda store: keyring.revoke(ApiKeys(StoredKeys(store)), parsed.name))
    )


def _add_bench(commands: "Commands[argparse.ArgumentParser]") -> None:
    bench = commands.add_parser("bench", help="measure what warming is worth", description="Measure, from outside.")
    measures = bench.add_subparsers(title="measures", metavar="MEASURE", required=True)
    ttft = measures.add_parser(
        "ttft",
        help="the time to the first text: cold, warmed, and over typing time",
        description="Measure the time to the first text: cold, and warmed on focus with several typing times between "
        "focus and question. Every measurement has a session that shares its cache with no other.",
        epilog="It asks the upstream that is configured, which costs money when that is Claude: runs × (2 + typing "
        "times) questions. Against the sandbox it runs on scaled time and says so.",
    )
    ttft.add_argument(
        "--context",
        default="asyncio",
        help="a context's name, or the path of files, with a slash (default: %(default)s)",
    )
    ttft.add_argument(
        "--runs", type=arguments.count, default=3, metavar="N", help="how often each is measured (%(default)s)"
    )
    ttft.add_argument(
        "--typing", type=arguments.times, default=(0, 1, 3, 10, 25), metavar="S,S,…", help="typing times (0,1,3,10,25)"
    )
    ttft.add_argument(
        "--question",
        default="How does a TaskGroup cancel the tasks that are still running when one of them fails?",
        help="what is asked (default: “%(default)s”)",
    )
    ttft.add_argument("--out", type=Path, metavar="FILE", help="write every sample to this file, as JSON")
    ttft.add_argument("--picture", type=Path, metavar="FILE", help="draw the curve into this .svg or .png file")
    ttft.add_argument("--url", help="measure the server that runs here (default: start one, without limits)")
    ttft.set_defaults(run=_bench_ttft)


def _add_doctor(commands: "Commands[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser(
        "doctor",
        help="check the settings, Redis, the upstream and the contexts; explain a session or a context",
        description="Check what the server would find: settings, Redis, the upstream and its key (at no cost), and "
        "contexts that look as if they will miss the cache. Exit status 1 when something is wrong. With a name, explain "
        "in plain words what the cache did for a session, turn by turn, with times and costs; or whether a context is warm "
        "now, until when, what was spent on it, and what will miss.",
    )
    doctor.add_argument("name", nargs="?", metavar="SESSION|CONTEXT", help="a session's id, or a context's name or id")
    doctor.set_defaults(run=_doctor)


def _settings(**given: Any) -> Settings:
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except UnicodeDecodeError:
        raise Refused(".env is not UTF-8 text") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{variable(str(one['loc'][0]))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_context=False)
        )
        raise Refused(f"a setting is not valid: {wrong}") from None


def _serve(parsed: argparse.Namespace) -> None:
    with undisturbed():
        from app.serving import serve

        settings = _settings(host=parsed.host, port=parsed.port)
    serve(settings)


def _sandbox(parsed: argparse.Namespace) -> None:
    from app.sandbox.options import Options
    from app.sandbox.serve import serve

    try:
        options = Options(profile=parsed.profile, speed=parsed.speed, seed=parsed.seed, control=parsed.control)
    except ValueError as error:
        raise Refused(str(error)) from None
    said: Callable[[str], None] | None = None if parsed.quiet else _say_sandbox
    try:
        serve(options, host=parsed.host, port=parsed.port, fd=parsed.fd, watch_stdin=parsed.watch_stdin, ready=said)
    except OSError as error:
        raise Refused(
            f"cannot listen on {parsed.host}:{parsed.port}: {error.strerror}; choose another --{at_fault(error)}"
        ) from None


def _say_sandbox(url: str) -> None:
    print(f"The sandbox answers at {url}\nANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=any", flush=True)


@contextmanager
def _redis_url(settings: Settings) -> Iterator[str]:
    with ExitStack() as stack:
        yield settings.redis_url or stack.enter_context(EmbeddedRedis(settings.data_dir)).url


def _add_context(parsed: argparse.Namespace) -> None:
    settings = _settings()
    set_local_models({}, usable=settings.usable_models)
    _with_library(lambda library: shelf.add(library, parsed, settings.model))


def _with_library(action: Callable[[Library], Awaitable[None]]) -> None:
    _with_store(lambda store: action(Library(Contexts(store))))


def _with_store(action: Callable[[Store], Awaitable[None]]) -> None:
    async def act(url: str) -> None:
        store = Store(url)
        try:
            await action(store)
        finally:
            await store.close()

    logging.basicConfig(level="WARNING", format="%(message)s")
    with _redis_url(_settings()) as url:
        asyncio.run(act(url))


def _bench_ttft(parsed: argparse.Namespace) -> None:
    from app.bench.command import run

    logging.basicConfig(level="WARNING", format="%(message)s")
    run(parsed, _settings())


def _doctor(parsed: argparse.Namespace) -> None:
    from app.doctor import examine
    from app.explaining import NothingKnown, explain

    settings = _settings()
    logging.basicConfig(level="ERROR", format="%(message)s")
    if unknown := unknown_variables():
        print(f"headstart: warning: {unknown}", file=sys.stderr)
    with _redis_url(settings) as url:
        if parsed.name:
            try:
                print("\n".join(asyncio.run(explain(url, parsed.name))))
            except NothingKnown as error:
                raise Refused(str(error)) from None
            return
        findings = asyncio.run(examine(settings, url))
    for finding in findings:
        print(f"{'ok ' if finding.good else '!! '} {finding.said}")
    if not all(finding.good for finding in findings):
        sys.exit(1)


if __name__ == "__main__":
    main()
