"""One client's socket: a request is read, answered and written, then the next one; nothing here waits."""

from __future__ import annotations

import socket
from selectors import EVENT_READ, EVENT_WRITE
from typing import Literal

from perfcore.monitor.serve.request import LONGEST_HEAD, Refused, Request, take
from perfcore.monitor.serve.response import Response, render

__all__ = ["Connection", "Patience"]

#: What a client that has been told to go may still send before nobody listens: as long as it has unread bytes
#: the kernel answers a close with a reset, and the reset may overtake the answer.
_DISCARDED = 256 * 1024


class Patience:
    """Seconds: for a request to come, between two, for its answer, for that to be read, for a farewell."""

    def __init__(
        self,
        *,
        request: float = 5.0,
        idle: float = 15.0,
        answer: float = 10.0,
        written: float = 10.0,
        farewell: float = 1.0,
    ) -> None:
        self.request, self.idle, self.answer = request, idle, answer
        self.written, self.farewell = written, farewell


class Connection:
    """A state machine that the server's loop drives; ``deadline`` is when :meth:`overdue` is to be called.

    ``reading`` until a request is whole, ``answering`` while somebody makes the answer, ``writing`` it, and
    ``leaving`` once the last one is written; ``closed`` in the end, whatever the client does.
    """

    def __init__(self, client: socket.socket, patience: Patience, now: float) -> None:
        client.setblocking(False)
        self.socket = client
        self.state: Literal["reading", "answering", "writing", "leaving", "closed"] = "reading"
        self.deadline = now + patience.request
        self._patience = patience
        self._buffer, self._out = bytearray(), memoryview(b"")
        self._request: Request | None = None
        self._last = False
        self._served, self._discarded = 0, 0

    @property
    def idle(self) -> bool:
        """Whether it waits for another request, and nothing of one has come."""
        return self.state == "reading" and self._served > 0 and not self._buffer

    @property
    def interest(self) -> int:
        """What the loop must wait for: the socket's being readable or writable, or neither."""
        return {"reading": EVENT_READ, "leaving": EVENT_READ, "writing": EVENT_WRITE}.get(self.state, 0)

    def waits_for(self, request: Request) -> bool:
        """Whether the answer to this request is still wanted."""
        return self.state == "answering" and self._request is request

    def ready(self, now: float) -> None:
        """Go on, now that the socket is what :attr:`interest` said."""
        try:
            if self.state == "writing":
                self._write(now)
            else:
                self._read(now)
        except BlockingIOError:
            pass
        except OSError:  # the client is gone, which is its right
            self.close()

    def next(self, now: float) -> Request | Refused | None:
        """Return a request that has come, or why what has come is none; the answer is then waited for."""
        if self.state != "reading":
            return None
        try:
            found: Request | Refused | None = take(self._buffer)
        except Refused as refused:
            found = refused
        if found is not None:
            self.state, self.deadline = "answering", now + self._patience.answer
            self._request = found if isinstance(found, Request) else None
        return found

    def answer(self, response: Response, now: float, *, ends: bool = False) -> None:
        """Begin to write the answer; with ``ends`` it is the last one."""
        request = self._request
        keeps = request is not None and request.keeps and not ends
        head = request is not None and request.method == "HEAD"
        self._request, self._last = None, not keeps
        self._out = memoryview(render(response, head=head, keeps=keeps))
        self.state, self.deadline = "writing", now + self._patience.written
        self.ready(now)

    @property
    def late(self) -> bool:
        """Whether somebody is too slow, if the deadline has come."""
        return self.state != "leaving" and not self.idle

    def overdue(self) -> Refused | None:
        """Return what to answer, now that the deadline has come; without an answer it is closed."""
        if self.state == "answering":
            return Refused(503, "the answer takes too long")
        if self.state == "reading" and self._buffer:
            return Refused(408, "the request takes too long")
        self.close()
        return None

    def close(self) -> None:
        """Close the socket, and be done."""
        self.state = "closed"
        self.socket.close()

    def _read(self, now: float) -> None:
        got = self.socket.recv(LONGEST_HEAD + 1 if self.state == "leaving" else self._room())
        if not got:
            self.close()
        elif self.state == "leaving":
            self._discarded += len(got)
            if self._discarded > _DISCARDED:
                self.close()
        else:
            if self.idle:
                self.deadline = now + self._patience.request
            self._buffer += got

    def _room(self) -> int:
        return max(1, LONGEST_HEAD + 5 - len(self._buffer))

    def _write(self, now: float) -> None:
        while self._out:
            self._out = self._out[self.socket.send(self._out) :]
        self._served += 1
        if self._last:
            self.socket.shutdown(socket.SHUT_WR)
            self.state, self.deadline = "leaving", now + self._patience.farewell
        else:
            self.state = "reading"
            self.deadline = now + (self._patience.request if self._buffer else self._patience.idle)
