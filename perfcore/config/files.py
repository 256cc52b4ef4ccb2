"""Configuration files: TOML or JSON, told apart by the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from perfcore.errors import ConfigError

__all__ = ["read_file"]


def read_file(path: Path) -> Any:
    """Return the content of a ``.toml`` or ``.json`` file; anything wrong with it is a :exc:`ConfigError`."""
    decoders: dict[str, Callable[[bytes], Any]] = {".toml": _decode_toml, ".json": msgspec.json.decode}
    decode = decoders.get(path.suffix.lower())
    if decode is None:
        raise ConfigError("Expected a file name that ends in .toml or .json")
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(error.strerror or str(error)) from error
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"not valid {path.suffix[1:].upper()}: {error}") from error


def _decode_toml(content: bytes) -> dict[str, Any]:
    import tomllib  # as slow to import as all of msgspec, and needed only here

    return tomllib.loads(content.decode())
