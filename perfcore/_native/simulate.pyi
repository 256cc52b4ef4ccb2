from typing import Any, Final, Literal, TypeAlias, final

import numpy.typing as npt
from typing_extensions import Buffer, disjoint_base

__all__ = ["ARMS", "POLICIES", "Numbering", "Replay"]

_Buffer: TypeAlias = Buffer | npt.NDArray[Any]  # before Python 3.12 an array is not known to be a Buffer

POLICIES: Final[tuple[str, ...]]
ARMS: Final[tuple[str, ...]]

@final
@disjoint_base
class Numbering:
    def __init__(self, seed: int = 0) -> None: ...
    def __len__(self) -> int: ...
    def number(self, ids: _Buffer, numbers: _Buffer, /) -> None: ...

@final
@disjoint_base
class Replay:
    def __init__(
        self,
        policy: Literal["lru", "lfu", "random", "adaptive"],
        capacity: int,
        ids: int,
        weighted: bool,
        seed: int,
    ) -> None: ...
    def feed(self, ids: _Buffer, weights: _Buffer | None = None, /) -> None: ...
    def counts(self) -> tuple[int, int, int, int, int]: ...
    def state(self) -> tuple[str, int]: ...
