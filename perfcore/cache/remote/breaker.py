"""A circuit breaker for each server: who is known to be down is not waited for."""

from __future__ import annotations

from time import monotonic
from typing import Final

__all__ = ["Breaker"]

#: So many calls in a row may time out before nobody waits any more.
_PATIENCE: Final = 3
#: A caller tries again after so many seconds, where nobody has found the server well before.
_COOLDOWN: Final = 5.0


class Breaker:
    """Open while a server is known not to serve; closed again by whoever finds that it does.

    Callers do not try out a broken server: the mending thread does. Only where there is no such thread does
    one caller in five seconds.

    >>> breaker = Breaker()
    >>> breaker.failed(fatal=True), breaker.allows(), breaker.succeeded(), breaker.allows()
    (True, False, None, True)
    """

    __slots__ = ("_retry_at", "failures", "opened", "reason")

    def __init__(self) -> None:
        self.failures = 0
        self._retry_at = 0.0
        self.opened = False
        self.reason = ""

    def allows(self) -> bool:
        """Say whether to talk to the server."""
        if not self.opened:
            return True
        now = monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + _COOLDOWN
        return True

    def failed(self, *, fatal: bool, reason: str = "") -> bool:
        """Note a failure, ``fatal`` if waiting longer would not have helped; True when that opens it."""
        self.failures += 1
        self.reason = reason or self.reason
        if not fatal and self.failures < _PATIENCE:
            return False
        was, self.opened = self.opened, True
        self._retry_at = monotonic() + _COOLDOWN
        return not was

    def seal(self, reason: str) -> None:
        """Open it for good: there is no server."""
        self.opened, self._retry_at, self.reason = True, float("inf"), reason

    def succeeded(self) -> None:
        """Note that the server has answered."""
        self.failures = 0
        self.opened = False
        self.reason = ""
