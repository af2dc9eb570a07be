"""Traces, for OpenTelemetry: off unless the environment asks for them, and then all that one turn took under one trace.

What a warm and the question that uses it have in common is the session and the prefix, so their trace's id is made from
these: nothing has to be kept between the two requests, and whichever process takes a turn over goes on in the same trace.
The SDK's own spans, one for each call to the upstream, are children of ours.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, ProxyTracerProvider, Span, SpanContext, TraceFlags

log = logging.getLogger("headstart.tracing")

_tracer = trace.get_tracer("headstart")
FLUSHED_WITHIN_S = 2.0
MISSING = (
    "the environment asks for OpenTelemetry, but its packages are not installed: pip install -r requirements-otel.txt, "
    "or set OTEL_SDK_DISABLED=true; going on without traces"
)


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the usual variables of OpenTelemetry ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    names = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(environment.get(name) for name in names)


def configure() -> Callable[[], None]:
    """Send traces where the environment says, if it says so; how to send the last ones, which takes a bounded time."""
    if not wanted(os.environ) or not isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    except ImportError:
        log.warning(MISSING)
        return lambda: None
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        os.environ.setdefault("OTEL_SERVICE_NAME", "headstart")
    console = os.environ.get("OTEL_TRACES_EXPORTER") == "console"
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter() if console else OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

    def flush() -> None:
        # Whoever takes the spans may be away: that keeps nobody from ending.
        flushing = threading.Thread(target=provider.force_flush, daemon=True)
        flushing.start()
        flushing.join(FLUSHED_WITHIN_S)

    return flush


@contextmanager
def span(name: str, session: str, digest: str, **attributes: str | int) -> Iterator[Span]:
    """A span in the trace of the turn that `session` takes on the prefix `digest`. Costs nothing while there are none."""
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        yield trace.INVALID_SPAN
        return
    found = {f"headstart.{key}": value for key, value in attributes.items()}
    trace_id, root = _ids(session, digest)
    here = trace.get_current_span().get_span_context()
    parent = None if here.trace_id == trace_id else _remote(trace_id, root)
    with _tracer.start_as_current_span(
        f"headstart.{name}", context=parent, attributes=found | {"headstart.session": session}
    ) as started:
        yield started


def note(**attributes: str | int | None) -> None:
    """Say more of the current span."""
    current = trace.get_current_span()
    for key, value in attributes.items():
        if value is not None:
            current.set_attribute(f"headstart.{key}", value)


def _ids(session: str, digest: str) -> tuple[int, int]:
    """The trace's id, and that of the span that all others of a turn are under, which nobody sends."""
    hashed = hashlib.sha256(f"{session}\n{digest}".encode()).digest()
    return int.from_bytes(hashed[:16]), int.from_bytes(hashed[16:24])


def _remote(trace_id: int, span_id: int) -> Context:
    root = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(root))
