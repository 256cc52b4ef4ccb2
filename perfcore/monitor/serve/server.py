"""``MetricsServer``: one thread for all connections, whatever the clients do."""

from __future__ import annotations

import atexit
import os
from collections import Counter, deque
from collections.abc import Iterable
from functools import partial
from selectors import EVENT_READ, DefaultSelector
from threading import Thread, current_thread
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self
from weakref import WeakSet

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.monitor.serve.access import Access
from perfcore.monitor.serve.bell import Bell
from perfcore.monitor.serve.binding import bind, resolve
from perfcore.monitor.serve.connection import Connection, Patience
from perfcore.monitor.serve.desk import Desk
from perfcore.monitor.serve.once import Once
from perfcore.monitor.serve.request import Refused, Request
from perfcore.monitor.serve.response import Response, refusal
from perfcore.monitor.serve.routes import resources
from perfcore.monitor.serve.share import Share
from perfcore.monitor.serve.sources import Sources
from perfcore.monitor.serve.watch import Watch

__all__ = ["MetricsServer", "ServerStats"]

log = logger("serve")

#: Connections beyond the bound that are told so; those beyond these are closed without a word.
_TOLD = 16
#: Seconds for which nobody is let in after the process has run out of descriptors.
_REST = 0.5


class ServerStats(NamedTuple):
    """What a server did: connections now and ever, those turned away, clients too slow, answers by status."""

    open: int
    accepted: int
    turned_away: int
    too_slow: int
    answers: dict[int, int]


class MetricsServer:
    """Serves ``/metrics``, ``/snapshot.json``, ``/live.json``, ``/healthz``, a page at ``/``.

    It looks at ``sources`` every ``interval`` seconds, remembers ``history`` seconds of that, and answers
    from what it has seen: a request touches nothing of the application, and a part that hangs is reported
    and holds up nobody. ``port`` 0 takes a free one. Bound to an address that others can reach it needs a
    ``token``, which requests carry as ``Authorization: Bearer``. ``hosts`` are more names to answer to. At
    most ``connections`` clients are served at once, each with its :class:`.Patience`.

    Raises ValueError for an address that others can reach without a token, and OSError, naming the port,
    where it cannot be had. In a forked child it is closed.

    >>> from urllib.request import urlopen
    >>> with MetricsServer(Sources(), port=0) as server:
    ...     urlopen(f"{server.url}healthz").status
    200
    """

    def __init__(
        self,
        sources: Sources,
        *,
        port: int,
        host: str = "127.0.0.1",
        token: str | None = None,
        hosts: Iterable[str] = (),
        interval: float = 2.0,
        history: float = 900.0,
        connections: int = 64,
        patience: Patience | None = None,
    ) -> None:
        family, address = resolve(host, port)
        self._watch = Watch(sources, interval, history)
        self._most, self._patience = connections, patience or Patience()
        self._connections: dict[Connection, int] = {}
        self._answers: deque[tuple[Connection, Request, Response]] = deque()
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._closing: float | None = None
        self._resting = float("inf")
        self._once = Once(log)
        self._desk = Desk(
            resources(sources, self._watch),
            Access(str(address[0]), token, hosts),
            connections,
            self._made,
            self._once,
        )
        self._listener = bind(family, address)
        self.host, self.port = self._listener.getsockname()[:2]
        self._open()

    def _open(self) -> None:
        self._selector = DefaultSelector()
        self._bell = Bell()
        self._listener.setblocking(False)
        self._selector.register(self._listener, EVENT_READ, self._accept)
        self._selector.register(self._bell, EVENT_READ, self._bell.heard)
        self._thread: Thread | None = Thread(target=self._run, name="perfcore-serve", daemon=True)
        _servers.add(self)
        self._watch.start()
        self._thread.start()

    @safe_repr
    def __repr__(self) -> str:
        return f"<MetricsServer: {self.url}{'' if self.running else ', closed'}>"

    @property
    def url(self) -> str:
        """Where it is, with a slash at the end."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/"

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._thread is not None and self._thread.is_alive()

    def stats(self) -> ServerStats:
        """Return what it did so far."""
        accepted, away, slow = (self._counts[name] for name in ("accepted", "turned away", "too slow"))
        return ServerStats(len(self._connections), accepted, away, slow, dict(self._statuses))

    def close(self, timeout: float = 2.0) -> None:
        """Take no more connections, and give answers that are on their way ``timeout`` seconds to arrive."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closing = monotonic() + timeout
        self._bell.ring()
        if thread is not current_thread():
            thread.join(timeout + 1.0)
        self._watch.stop()
        self._desk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the loop --

    def _run(self) -> None:
        share = Share()
        try:
            while not self._ended():
                self._turn()
                share.pause()
        except Exception as error:
            self._once.warn("serving", error)
        finally:
            self._release()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._wait()):
            key.data()
        while self._answers:
            self._deliver(*self._answers.popleft())
        now = monotonic()
        for connection in [found for found in self._connections if found.deadline <= now]:
            self._counts["too slow"] += connection.late
            if (refused := connection.overdue()) is not None:
                self._reply(connection, refusal(refused), now, ends=True)
            self._go_on(connection)
        if self._resting <= now and self._closing is None:
            self._resting = float("inf")
            self._selector.register(self._listener, EVENT_READ, self._accept)

    def _wait(self) -> float | None:
        ends = [connection.deadline for connection in self._connections]
        end = min([*ends, self._resting, float("inf") if self._closing is None else self._closing])
        return None if end == float("inf") else max(0.0, end - monotonic())

    def _ended(self) -> bool:
        if self._closing is None:
            return False
        if self._listener.fileno() >= 0:
            self._rest(float("inf"))
            self._listener.close()
        for connection in [found for found in self._connections if found.state == "reading"]:
            connection.close()
            self._go_on(connection)
        return not self._connections or monotonic() >= self._closing

    def _accept(self) -> None:
        now = monotonic()
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # no descriptors: who waits goes on waiting, and the loop does not spin
            self._once.warn("serving", error)
            self._rest(now + _REST)
            return
        self._counts["accepted"] += 1
        connection = Connection(client, self._patience, now)
        if len(self._connections) < self._most or self._make_room():
            self._connections[connection] = 0
        elif len(self._connections) < self._most + _TOLD:
            self._connections[connection] = 0
            self._counts["turned away"] += 1
            refused = Refused(503, "too many connections", Retry_After="1")
            self._reply(connection, refusal(refused), now, ends=True)
        else:
            self._counts["turned away"] += 1
            connection.close()
            return
        self._go_on(connection)

    def _make_room(self) -> bool:
        """Close the connection that has been idle for longest, if any is."""
        idle = min(
            (each for each in self._connections if each.idle), key=lambda each: each.deadline, default=None
        )
        if idle is None:
            return False
        idle.close()
        self._go_on(idle)
        return True

    def _rest(self, until: float) -> None:
        if self._resting == float("inf") and self._listener in self._selector.get_map():
            self._selector.unregister(self._listener)
        self._resting = until

    def _ready(self, connection: Connection) -> None:
        connection.ready(monotonic())
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """Have answered all that has been asked, and wait for what the connection is to wait for."""
        try:
            while (asked := connection.next(now := monotonic())) is not None:
                self._ask(connection, asked, now)
        except Exception as error:  # of ours; the next client shall not suffer for it
            self._once.warn("serving", error)
            connection.close()
        self._attend(connection)

    def _attend(self, connection: Connection) -> None:
        before, now = self._connections.get(connection, 0), connection.interest
        if before and before != now:
            self._selector.unregister(connection.socket)
        if connection.state == "closed":
            self._connections.pop(connection, None)
            return
        if now and before != now:
            self._selector.register(connection.socket, now, partial(self._ready, connection))
        self._connections[connection] = now

    # -- answers --

    def _ask(self, connection: Connection, asked: Request | Refused, now: float) -> None:
        if isinstance(asked, Refused):
            self._reply(connection, refusal(asked), now, ends=asked.ends)
        elif (answer := self._desk.answer(asked, connection)) is not None:
            self._reply(connection, answer[0], now, ends=answer[1])

    def _made(self, connection: Connection, request: Request, response: Response) -> None:
        """Take an answer from the thread in which it was made."""
        self._answers.append((connection, request, response))
        self._bell.ring()

    def _deliver(self, connection: Connection, request: Request, response: Response) -> None:
        if connection.waits_for(request):
            self._reply(connection, response, monotonic())
            self._go_on(connection)

    def _reply(self, connection: Connection, response: Response, now: float, *, ends: bool = False) -> None:
        self._statuses[response.status] += 1
        connection.answer(response, now, ends=ends or self._closing is not None)

    # -- ends --

    def _release(self) -> None:
        """Close everything that has a descriptor."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        for each in (self._listener, self._bell, self._selector):
            each.close()

    def _forked(self) -> None:
        """In a forked child: give up the parent's sockets, or its clients would wait for the child.

        Closing is all that may be done: the child shares the kernel's list of what the parent waits for, and
        taking anything off it would do so for the parent.
        """
        if self._thread is not None:
            self._thread, self._closing = None, 0.0
            self._watch.forked()
            self._release()


_servers: WeakSet[MetricsServer] = WeakSet()


def _forked() -> None:
    for server in list(_servers):
        server._forked()


@atexit.register
def _close_all() -> None:
    for server in list(_servers):
        server.close(0.2)


os.register_at_fork(after_in_child=_forked)
