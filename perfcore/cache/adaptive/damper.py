"""Against going to and fro: what was undone, or contradicts the step before, waits longer each time."""

from __future__ import annotations

from typing import Any

__all__ = ["Damper"]

_LONGEST = 64


class Damper:
    """Decides whether a knob may be turned now. Time is counted in the questions asked.

    >>> damper = Damper()
    >>> damper.allows(1, 2), damper.allows(2, 1), damper.allows(2, 1)
    (True, False, True)
    """

    def __init__(self) -> None:
        self._last: tuple[Any, Any] | None = None
        self._wait = self._left = 0

    def allows(self, before: Any, after: Any) -> bool:
        """Say whether ``before`` may become ``after``; a step back to where it came from has to wait."""
        if self._left > 0:
            self._left -= 1
            return False
        if self._last == (after, before) and self._wait == 0:
            self._wait = 1
            return False
        self._last = before, after
        return True

    def judged(self, before: Any, after: Any, *, harmful: bool) -> None:
        """Take notice of how a step ended: after a harmful one the knob rests, twice as long each time."""
        if not harmful:
            self._wait //= 2
            return
        self._wait = min(_LONGEST, max(1, 2 * self._wait))
        self._left = self._wait
        self._last = after, before
