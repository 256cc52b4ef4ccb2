from typing import Any, Final, Literal, Self, TypeAlias, final

import numpy.typing as npt
from typing_extensions import Buffer

__all__ = ["ARMS", "POLICIES", "Numbering", "Replay", "distinct"]

_Buffer: TypeAlias = Buffer | npt.NDArray[Any]  # before Python 3.12 an array is not known to be a Buffer

POLICIES: Final[tuple[str, ...]]
ARMS: Final[tuple[str, ...]]

def distinct(ids: _Buffer, bound: int, /) -> int: ...

@final
class Numbering:
    def __new__(cls, seed: int = 0) -> Self: ...
    def __len__(self) -> int: ...
    def number(self, ids: _Buffer, numbers: _Buffer, /) -> None: ...

@final
class Replay:
    def __new__(
        cls,
        policy: Literal["lru", "lfu", "random", "adaptive"],
        capacity: int,
        ids: int,
        weighted: bool,
        seed: int,
    ) -> Self: ...
    def feed(self, ids: _Buffer, weights: _Buffer | None = None, /) -> None: ...
    def counts(self) -> tuple[int, int, int, int, int]: ...
    def state(self) -> tuple[str, int]: ...
