"""What type checkers make of cached functions: `tests/typing/test_functions.py` compares."""

from perfcore import cached, cached_method
from perfcore.compat.async_lru import alru_cache


@cached
def plain(x: int, *, scale: float = 1) -> str:
    return str(x * scale)


@cached(ttl=60, tags=lambda x: [x])
async def fetch(x: int) -> bytes:
    return bytes(x)


@alru_cache(maxsize=5)
async def loaded(x: int) -> bytes:
    return bytes(x)


class Shop:
    @cached
    def price(self, item: str) -> float:
        return len(item)

    @cached_method(maxsize=5)
    def weight(self, item: str) -> int:
        return len(item)

    @classmethod
    @cached
    def make(cls, name: str) -> str:
        return name


reveal_type(plain(1, scale=2))  # -> str
reveal_type(plain.refresh(1))  # -> str
reveal_type(plain.cache_invalidate(1))  # -> bool
reveal_type(plain.cache_info().hits)  # -> int
reveal_type(fetch(1))  # -> Coroutine[Any, Any, bytes]
reveal_type(loaded(1))  # -> Coroutine[Any, Any, bytes]
reveal_type(Shop().price("tea"))  # -> float
reveal_type(Shop().price.cache_contains("tea"))  # -> bool
reveal_type(Shop.price(Shop(), "tea"))  # -> float
reveal_type(Shop().weight("tea"))  # -> int
plain("one")  # -> error
plain(1, size=2)  # -> error
plain.cache_invalidate("one")  # -> error
Shop().price(1)  # -> error
fetch.refresh()  # -> error
