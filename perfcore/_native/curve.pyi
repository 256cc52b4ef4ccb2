from typing import Any, NamedTuple

from perfcore._native.cache import Cache

__all__ = ["SIZES", "CurveCounts", "observe", "observed", "unobserve"]

SIZES: tuple[float, ...]

class CurveCounts(NamedTuple):
    requests: int
    rate: int
    entries: int
    misses: tuple[tuple[int, ...], tuple[int, ...]]
    sampled: tuple[int, int]
    followed: int
    repeated: int
    memory: int

    @property
    def expected(self) -> float: ...

def observe(cache: Cache[Any, Any], entries: int) -> None: ...
def unobserve(cache: Cache[Any, Any]) -> None: ...
def observed(cache: Cache[Any, Any]) -> CurveCounts | None: ...
