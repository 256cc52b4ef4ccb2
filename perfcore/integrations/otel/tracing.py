"""Sampled calls of a profiler as OpenTelemetry's spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import NamedTuple

from perfcore._version import __version__
from perfcore.errors import MissingExtraError
from perfcore.monitor.profiles import Profile

try:
    from opentelemetry import context, trace
except ImportError as error:
    raise MissingExtraError("opentelemetry-api", "otel") from error

__all__ = ["SpanTracer"]

#: Set and reset with the SDK's own variable: says whether a span ends in the context in which it began.
_here: ContextVar[None] = ContextVar("perfcore_span", default=None)
_LONGEST_ERROR = 200


class _Open(NamedTuple):
    span: trace.Span
    attached: object
    here: Token[None]


class SpanTracer:
    """Makes a span of each call that a profiler samples, and a child span of each of its phases.

    To be given to a :class:`.PerformanceProfiler` as its ``tracer``. While a call runs its span is the
    current one, so that the spans of whatever it calls, in tasks and in threads that run in a copy of its
    context (``asyncio.to_thread``, ``WorkerPool.run``, :meth:`.PerformanceProfiler.carried`), are its
    children. Attributes say what the profile says, and ``perfcore.weight`` for how many calls the span
    stands. An exception is recorded and the status an error; a cancelled call has ``perfcore.status``
    "cancelled" and no error.

    ``provider`` is the process' own by default, which does nothing until an application sets one.

    >>> from perfcore.monitor import PerformanceProfiler
    >>> profiler = PerformanceProfiler(1.0, tracer=SpanTracer())
    >>> profiler.profile("load", lambda: trace.get_current_span().get_span_context().is_valid)
    False
    """

    def __init__(self, provider: trace.TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("perfcore", __version__, provider)

    def begin(self, name: str, /) -> _Open:
        """Start a span and make it the current one."""
        span = self._tracer.start_span(name)
        attached = context.attach(trace.set_span_in_context(span))
        return _Open(span, attached, _here.set(None))

    def end(self, opened: _Open, profile: Profile | None, error: BaseException | None, /) -> None:
        """End it with what is known of it; the span before it is the current one again."""
        self.drop(opened)
        span = opened.span
        if span.is_recording():
            failed = isinstance(error, Exception) if profile is None else profile.status == "error"
            if profile is not None:
                span.set_attributes(dict(_attributes(profile)))
            if failed and error is not None:
                span.record_exception(error)
                description = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
                span.set_status(trace.Status(trace.StatusCode.ERROR, description))
        span.end()

    def drop(self, opened: _Open, /) -> None:
        """Make the span before it the current one again; one that is not ended is not exported."""
        try:
            _here.reset(opened.here)
        except ValueError:  # in another context there is nothing to be restored, and the SDK would complain
            return
        context.detach(opened.attached)  # type: ignore[arg-type]


def _attributes(profile: Profile) -> Iterator[tuple[str, str | int | float]]:
    yield "perfcore.profile.id", profile.id
    yield "perfcore.status", profile.status
    yield "perfcore.weight", profile.weight
    yield "thread.id", profile.thread
    measured = {
        "perfcore.cpu_time": profile.cpu_time,
        "perfcore.read_bytes": profile.read_bytes,
        "perfcore.written_bytes": profile.written_bytes,
        "perfcore.process.memory_delta": profile.memory_delta,
        "perfcore.process.allocations": profile.allocations,
    }
    for name, value in measured.items():
        if value is not None:
            yield name, value
    for operation, times in profile.operations.items():
        yield f"perfcore.operation.{operation}", times
