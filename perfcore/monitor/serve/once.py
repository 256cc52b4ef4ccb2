"""What repeats is said once."""

from __future__ import annotations

import logging

__all__ = ["Once"]

_KINDS = 100


class Once:
    """Logs what failed with which kind of exception, the first time; in bounded memory."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: set[tuple[str, type]] = set()

    def warn(self, what: str, error: Exception) -> None:
        """Say that ``what`` failed."""
        if (what, type(error)) not in self._said and len(self._said) < _KINDS:
            self._said.add((what, type(error)))
            self._log.warning("%s failed (said once)", what, exc_info=error)
