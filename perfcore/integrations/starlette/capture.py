"""What an application sends, held back for as long as it may be kept, and told on when it may not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from perfcore.integrations.starlette.headers import Terms, terms
from perfcore.integrations.starlette.kept import Kept

__all__ = ["Capture", "Message", "Send"]

Message = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]


class Capture:
    """The ``send`` of one call of the application.

    A response without terms goes to ``send`` message by message, as does one that is larger than ``most``
    bytes or is sent in any other way; ``give_up`` is called at the moment that is known. Others are told when
    they are whole; :attr:`kept` is what they are then.
    """

    def __init__(self, send: Send, most: int, default: float, give_up: Callable[[], object]) -> None:
        self._send, self._most, self._default, self._give_up = send, most, default, give_up
        self._held: list[Message] = []
        self._body = bytearray()
        self._terms: Terms | None = None
        self._passing = False
        #: Somebody has changed what is at this address since the application was asked.
        self.overtaken = False
        self.kept: Kept | None = None
        self.terms: Terms | None = None

    async def __call__(self, message: Message) -> None:
        """Take a message of the application."""
        if self._passing:
            await self._send(message)
        elif message["type"] == "http.response.start" and not self._held:
            await self._start(message)
        elif message["type"] == "http.response.body" and self._held:
            await self._more(message)
        else:
            await self._pass(message)

    async def _start(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        self._terms = None if message.get("trailers") else terms(message["status"], headers, self._default)
        if self._terms is None:
            await self._pass(message)
        else:
            self._held.append(message)

    async def _more(self, message: Message) -> None:
        self._body += message.get("body", b"")
        if len(self._body) > self._most or self._terms is None:
            await self._pass(message)
            return
        self._held.append(message)
        if not message.get("more_body", False):
            start = self._held[0]
            self.terms = self._terms
            self.kept = Kept.of(start["status"], list(start["headers"]), bytes(self._body), self._terms)

    async def _pass(self, message: Message) -> None:
        """From here on everything goes through at once."""
        self._passing = True
        self._give_up()
        for held in [*self._held, message]:
            await self._send(held)
        self._held.clear()
        self._body.clear()

    async def end(self) -> None:
        """Tell what was held back of a response that was never finished."""
        if self.kept is None and not self._passing:
            self._passing = True
            self._give_up()
            for held in self._held:
                await self._send(held)
