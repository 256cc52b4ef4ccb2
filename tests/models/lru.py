"""A slow, obvious LRU cache with weights and deadlines: what the native one is compared with."""

from collections import OrderedDict


class ModelLRU:
    def __init__(self, capacity, weigher=lambda key, value: 1):
        self.capacity, self.weigher, self.now = capacity, weigher, 0.0
        self.entries = OrderedDict()  # key -> (value, end or None), oldest first

    def weight(self):
        return sum(self.weigher(key, value) for key, (value, _) in self.entries.items())

    def live(self, key):
        _, end = self.entries.get(key, (None, 0))
        if end is not None and end <= self.now:
            self.entries.pop(key, None)
            return False
        return True

    def get(self, key, default=None):
        if not self.live(key):
            return default
        self.entries.move_to_end(key)
        return self.entries[key][0]

    def set(self, key, value, ttl=None):
        self.expire()  # as the native cache does before it makes room
        if self.capacity == 0 or self.weigher(key, value) > self.capacity:
            self.entries.pop(key, None)
            return
        self.entries[key] = (value, None if ttl is None else self.now + ttl)
        self.entries.move_to_end(key)
        self.evict()

    def evict(self):
        while self.weight() > self.capacity:
            del self.entries[next(key for key in self.entries if self.weigh(key) > 0)]

    def weigh(self, key):
        return self.weigher(key, self.entries[key][0])

    def popitem(self):
        """The least recently used; what weighs nothing is pinned and comes last."""
        self.expire()
        key = min(self.entries, key=lambda key: self.weigh(key) == 0)
        return key, self.entries.pop(key)[0]

    def delete(self, key):
        return self.live(key) and self.entries.pop(key) is not None

    def expire(self):
        ended = [key for key, (_, end) in self.entries.items() if end is not None and end <= self.now]
        for key in ended:
            del self.entries[key]
        return len(ended)

    def resize(self, capacity):
        self.capacity = capacity
        self.evict()
        if capacity == 0:
            self.entries.clear()

    def items(self):
        return {key: value for key, (value, end) in self.entries.items() if end is None or end > self.now}
