"""``map`` over many short calls: chunks that are as long as they take, not as many items as somebody guessed.

A chunk runs its items for at most :data:`BUDGET`; what is left of it then goes back to the queue as two
chunks in its place. So a million short calls are a few tasks, a slow one holds up no other for long, and more
urgent tasks get their turn. The chunks are a linked list in the order of the items, which splitting keeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from perfcore.workers.task import Task

__all__ = ["BUDGET", "Chunk", "batch", "first_chunks", "results"]

#: seconds
BUDGET: Final = 0.01
#: chunks to begin with, for each worker that there may be
_EACH: Final = 4

Items = Sequence[tuple[Any, ...]]
Send = Callable[["list[Chunk]", bool], bool]


class Chunk:
    """Some neighbouring items of a map, and what their calls returned."""

    __slots__ = ("divides", "error", "following", "items", "out", "send", "task")

    def __init__(self, items: Items, following: Chunk | None, send: Send, divides: bool) -> None:
        self.items, self.following, self.send, self.divides = items, following, send, divides
        self.out: list[Any] = []
        self.error: BaseException | None = None
        self.task: Task[Any] | None = None

    def run(self, fn: Callable[..., Any]) -> None:
        """Make the calls; what one raises ends the map there, and is kept with the results before it."""
        end, append, divides = time.perf_counter() + BUDGET, self.out.append, self.divides
        try:
            for done, item in enumerate(self.items, 1):
                append(fn(*item))
                if divides and time.perf_counter() > end:
                    if self._divide(done):
                        break
                    end = time.perf_counter() + BUDGET
        except BaseException as error:
            self.error = error
        self.items = ()

    def _divide(self, done: int) -> bool:
        """Send the rest as two chunks; False where that is not worth it, or there is no room."""
        rest = self.items[done:]
        half = (len(rest) + 1) // 2
        if len(rest) < 2:
            return False
        second = Chunk(rest[half:], self.following, self.send, True)
        first = Chunk(rest[:half], second, self.send, True)
        if not self.send([first, second], False):
            return False
        self.following = first
        return True


def first_chunks(items: Items, workers: int, size: int | None, send: Send) -> list[Chunk]:
    """Return the chunks to begin with, linked: of ``size`` items, or as many as keep all workers busy."""
    length = size or max(1, -(-len(items) // (workers * _EACH)))
    chunks: list[Chunk] = []
    following: Chunk | None = None
    for start in reversed(range(0, len(items), length)):
        following = Chunk(items[start : start + length], following, send, divides=size is None)
        chunks.append(following)
    return chunks[::-1]


def results(first: Chunk | None, end: float | None) -> Iterator[Any]:
    """Yield what the calls returned, in order. Whoever stops early cancels what nobody has begun."""
    chunk = first
    try:
        while chunk is not None:
            assert chunk.task is not None
            answer = chunk.task.result(None if end is None else end - time.monotonic())
            if answer is not None:  # from another process
                chunk.out = answer
            chunk.out.reverse()  # results are let go of as they are handed out
            while chunk.out:
                yield chunk.out.pop()
            if chunk.error is not None:
                raise chunk.error
            chunk = chunk.following
    finally:
        while chunk is not None:
            if chunk.task is not None:
                chunk.task.cancel()
            chunk.divides = False
            chunk = chunk.following


def batch(fn: Callable[..., Any], items: Items) -> list[Any]:
    """Make the calls of a chunk in another process."""
    return [fn(*item) for item in items]
