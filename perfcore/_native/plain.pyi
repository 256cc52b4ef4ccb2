from typing import Any

__all__ = ["MAX_DEPTH", "pack_plain"]

MAX_DEPTH: int

def pack_plain(value: Any, /) -> bytes | None: ...
