from typing import Any

__all__ = ["adopt"]

def adopt(subclass: type[Any], *names: str) -> None: ...
