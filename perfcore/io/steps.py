"""What an optimizer of input and output reports."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["IOStep"]


class IOStep(NamedTuple):
    """What was measured, in seconds: ``before`` without, ``after`` with what perfcore does about it.

    Of a receiver these are seconds of the processor for a megabyte.
    """

    name: str
    outcome: Literal["kept", "undone", "nothing"]
    reason: str
    before: float | None = None
    after: float | None = None
