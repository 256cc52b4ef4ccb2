from flat import insist_flat

from perfcore._native.memo import Memo
from perfcore.cache import Cache
from perfcore.compat.functools import cache, lru_cache


class Owner:
    @lru_cache(maxsize=100)
    def method(self, n, *, flag=False):
        return bytes(500)


def failing(*args):
    raise ValueError


def step():
    for i in range(3000):
        owner = Owner()
        owner.method(i % 200), owner.method(i % 200, flag=True)
    function = cache(lambda *args, **kwargs: bytes(500))
    for i in range(3000):
        function(i), function(i, x=i), function((i,)), function(str(i), y=(i,))
        try:
            function([])
        except TypeError:
            pass
    function.cache_clear()
    for _ in range(300):
        memo = Memo(failing, Cache(10, ttl=100), key=lambda *args: args, finish=id)
        memo.itself = memo
        memo.cache["memo"] = memo
        try:
            memo(1, 2)
        except ValueError:
            pass


insist_flat(step)
