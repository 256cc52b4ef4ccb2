"""What a profiler tells of sampled calls while they run: the seam at which a tracer makes its spans."""

from __future__ import annotations

from typing import Any, Protocol

from perfcore._log import logger
from perfcore.monitor.profiles import Profile

__all__ = ["GuardedTracer", "Tracer"]

log = logger("monitor")


class Tracer(Protocol):
    """Is told of sampled calls and their phases, in the context (of context variables) in which they run."""

    def begin(self, name: str, /) -> Any:
        """Take notice that a call or phase begins; what is returned is given to :meth:`end`."""

    def end(self, span: Any, profile: Profile | None, error: BaseException | None, /) -> None:
        """Take notice that it has ended: a call with its profile, a phase without one.

        What ends in another context than it began in, as a coroutine that is collected does, is told too.
        """

    def drop(self, span: Any, /) -> None:
        """Take notice that there was no call after all: what was called returned something to be awaited."""


class GuardedTracer:
    """A tracer whose exceptions are logged, once for each kind, and are no concern of the call."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._complained: set[type] = set()

    def begin(self, name: str, /) -> Any:
        """See :class:`Tracer`; None when it failed."""
        try:
            return self._tracer.begin(name)
        except Exception as error:
            return self._failed(error)

    def end(self, span: Any, profile: Profile | None, error: BaseException | None, /) -> None:
        """See :class:`Tracer`."""
        if span is not None:
            try:
                self._tracer.end(span, profile, error)
            except Exception as failure:
                self._failed(failure)

    def drop(self, span: Any, /) -> None:
        """See :class:`Tracer`."""
        if span is not None:
            try:
                self._tracer.drop(span)
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        if type(error) not in self._complained and len(self._complained) < 100:
            self._complained.add(type(error))
            log.warning("tracing a call failed (said once)", exc_info=error)
