"""Loggers that are silent until the application configures logging."""

from __future__ import annotations

import logging

__all__ = ["logger"]


def logger(room: str) -> logging.Logger:
    """Return the logger ``perfcore.<room>``.

    A null handler on ``perfcore`` keeps warnings off stderr, where Python sends those that nobody handles.

    >>> logger("manager").name
    'perfcore.manager'
    """
    root = logging.getLogger("perfcore")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    return root.getChild(room)
