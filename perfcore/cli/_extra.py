"""The packages of the extra ``cli``, or an error that names it."""

from __future__ import annotations

from perfcore.errors import MissingExtraError

try:
    import rich
    import typer
except ImportError as missing:
    raise MissingExtraError(missing.name or "typer", "cli") from missing

__all__ = ["rich", "typer"]
