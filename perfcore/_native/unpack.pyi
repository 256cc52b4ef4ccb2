from collections.abc import Callable
from typing import Any

__all__ = ["unpack_plain"]

def unpack_plain(hook: Callable[[int, memoryview], Any], data: bytes | memoryview, /) -> Any: ...
