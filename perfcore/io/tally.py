"""How often each path was asked for lately: a bounded table of counts."""

from __future__ import annotations

from itertools import islice

__all__ = ["Tally"]

Path = str | bytes


class Tally:
    """Counts reads of paths within a window that begins with the first of them.

    At most ``room`` paths are remembered; when there are more, those go that were seen first. The caller
    holds a lock.

    >>> tally = Tally(threshold=2, window=3600.0, room=10)
    >>> [tally.note("a", now) for now in (0.0, 1.0, 2.0)], tally.note("b", 3.0), len(tally)
    ([False, False, True], False, 1)
    """

    def __init__(self, threshold: int, window: float, room: int) -> None:
        self._threshold, self._window, self._room = threshold, window, room
        self._counts: dict[Path, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def note(self, path: Path, now: float) -> bool:
        """Count a read; say whether there were more than ``threshold`` within the window."""
        count, since = self._counts.get(path, (0, now))
        if now - since > self._window:
            count, since = 0, now
        if count >= self._threshold:
            self._counts.pop(path, None)
            return True
        self._counts[path] = count + 1, since
        if len(self._counts) > self._room:
            for oldest in list(islice(self._counts, self._room // 4 + 1)):
                del self._counts[oldest]
        return False

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()
