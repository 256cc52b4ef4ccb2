from flat import insist_flat

from perfcore.cache import Cache


class Odd:
    def __init__(self, n):
        self.n = n

    def __hash__(self):
        return self.n % 10

    def __eq__(self, other):
        if self.n % 7 == 3:
            raise ValueError
        return self.n == other.n


def step():
    for _ in range(200):
        cache = Cache(50, on_remove=lambda key, value, cause: None)
        cache["self"] = cache
        for i in range(60):
            try:
                cache[Odd(i)] = bytes(1000)
            except ValueError:
                pass
        list(cache.items())
        cache.resize(10)


insist_flat(step)
