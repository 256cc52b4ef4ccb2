from typing import Final, final

__all__ = ["WATCHERS", "Watchers"]

@final
class Watchers:
    def come(self) -> None: ...
    def go(self) -> None: ...
    @property
    def number(self) -> int: ...

WATCHERS: Final[Watchers]
