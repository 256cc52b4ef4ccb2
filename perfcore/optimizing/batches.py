"""Calls on an event loop that are answered together."""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from typing import Any

from perfcore.optimizing.options import Options

__all__ = ["Batcher"]


class Batcher:
    """Collects single questions for a moment and asks them as one list; each loop has its own collection."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._open: dict[asyncio.AbstractEventLoop, list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._items = self._batches = 0

    async def ask(self, item: Any) -> Any:
        """Return the answer for ``item``, one of a list; the error of its batch reaches all in it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        batch = self._open.setdefault(loop, [])
        batch.append((item, future))
        if len(batch) >= self._options.batch_size:
            self._send(loop, batch)
        elif len(batch) == 1:
            loop.call_later(self._options.batch_window, self._send, loop, batch)
        return await future

    def _send(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[Any, asyncio.Future[Any]]]) -> None:
        if self._open.get(loop) is batch:
            del self._open[loop]
            task = loop.create_task(self._answer(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: list[tuple[Any, asyncio.Future[Any]]]) -> None:
        wanted = [
            (item, future) for item, future in batch if not future.done()
        ]  # who was cancelled asks no more
        try:
            answers = await self._answers([item for item, _ in wanted]) if wanted else []
        except BaseException as error:
            for _, future in wanted:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(wanted, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _answers(self, items: list[Any]) -> list[Any]:
        assert self._options.batch is not None
        self._items, self._batches = self._items + len(items), self._batches + 1
        result = self._options.batch(items)
        answers = list(await result if isawaitable(result) else result)
        if len(answers) != len(items):
            raise ValueError(
                f"batch: expected {len(items)} results in the order of the items, got {len(answers)}"
            )
        return answers

    def told(self) -> str:
        """Return how many questions went in how many batches."""
        return f"{self._items} calls in {self._batches} batches"
