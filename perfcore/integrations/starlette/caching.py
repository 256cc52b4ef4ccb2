"""``ResponseCache``: a shared HTTP cache (RFC 9111) in front of an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from secrets import token_bytes
from typing import Any

from perfcore._native.cache import Cache
from perfcore._repr import safe_repr
from perfcore.cache.manager import CacheManager
from perfcore.integrations.starlette.capture import Capture, Send
from perfcore.integrations.starlette.headers import directives, values, varying
from perfcore.integrations.starlette.kept import Kept
from perfcore.metrics.registry import Counter
from perfcore.units import parse_size

__all__ = ["ResponseCache"]

Scope = Any
Receive = Callable[[], Awaitable[Any]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Headers of a request that ask for less than the whole response.
_CONDITIONS = {b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"}
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
#: For how many seconds nobody waits for others at an address whose response was not to be kept.
_NOT_KEPT = 10.0


class ResponseCache:
    """Middleware that keeps responses to GET for as long as their ``Cache-Control`` says.

    ``manager`` holds them (a :class:`~perfcore.cache.CacheManager`; None: one of 64 MB of memory); ``ttl`` is
    for how many seconds a response is fresh that has no ``Cache-Control`` (0: it is not kept), ``max_body``
    the size of the largest that is kept. Larger ones, and all that is not kept, are passed on as they come.

    Kept are 200, 203, 301 and 308, not with ``Set-Cookie``, ``no-store``, ``private``, ``no-cache`` or
    ``Vary: *``; requests with ``Authorization`` or ``Cookie`` leave and find only what is ``public`` or has
    ``s-maxage``. ``Vary`` is obeyed, ``If-None-Match`` answered with 304, ``Age`` told. Of those who ask at
    once for the same, one asks the application; within ``stale-while-revalidate`` it is asked behind. A
    method that changes something ends what is kept of its address.

    >>> import asyncio
    >>> async def app(scope, receive, send):
    ...     print("asked")
    ...     headers = [(b"cache-control", b"max-age=60")]
    ...     await send({"type": "http.response.start", "status": 200, "headers": headers})
    ...     await send({"type": "http.response.body", "body": b"hello"})
    >>> scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    >>> async def tell(message): print(message.get("body", message.get("status")))
    >>> cached = ResponseCache(app)
    >>> asyncio.run(cached(scope, None, tell)); asyncio.run(cached(scope, None, tell))
    asked
    200
    b'hello'
    200
    b'hello'
    """

    def __init__(
        self,
        app: App,
        manager: CacheManager | None = None,
        *,
        ttl: float = 0,
        max_body: int | str = "1MB",
        registry: Any = None,
    ) -> None:
        self._app, self._ttl, self._most = app, ttl, parse_size(max_body)
        self._manager = CacheManager(memory={"max_size": "64MB"}) if manager is None else manager
        self._flights: dict[Any, asyncio.Future[None]] = {}
        self._not_kept: Cache[Any, bool] = Cache(4096, ttl=_NOT_KEPT)
        self._under_way: dict[Any, set[Capture]] = {}
        self._routes: Cache[Any, Any] = Cache(4096)
        self._behind: set[asyncio.Task[None]] = set()
        results = Counter(
            "http.cache", "Requests by what became of them", labels=["result"], registry=registry
        )
        self._counts = {name: results.labels(name) for name in ("hit", "stale", "miss", "bypass")}

    @safe_repr
    def __repr__(self) -> str:
        return f"<ResponseCache: {self._manager!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request from what is kept, or have the application do it."""
        if scope["type"] != "http" or not _asks(scope):
            self._counts["bypass"].inc()
            await self._app(scope, receive, send)
            if scope["type"] == "http" and scope["method"] not in _SAFE:
                await self._end(_address(scope))
            return
        said = directives(scope["headers"])
        reload = "no-cache" in said or (not said and bool(values(scope["headers"], b"pragma")))
        if reload or not await self._told(scope, said, receive, send):
            await self._ask(scope, said, receive, send, reload=reload)

    # -- what is kept --

    async def _find(self, scope: Scope) -> Kept | None:
        address = _address(scope)
        held = await self._manager.aget(address)
        if type(held) is tuple and len(held) == 2:  # it varies
            held = await self._manager.aget(_variant(address, held, scope))
        kept = Kept.read(held)
        return kept if kept is not None and (kept.public or not _personal(scope)) else None

    async def _keep(self, scope: Scope, capture: Capture) -> None:
        kept, on = capture.kept, capture.terms
        if kept is None or on is None or capture.overtaken or (_personal(scope) and not kept.public):
            return
        address, names, ttl = _address(scope), varying(kept.headers), on.fresh + on.stale
        if names:
            held = await self._manager.aget(address)
            if type(held) is not tuple or held[:1] != (names,):
                held = names, token_bytes(8)  # what was kept before it was ended is not found with another
            await self._manager.aset(_variant(address, held, scope), tuple(kept), ttl=ttl)
            await self._manager.aset(address, held, ttl=ttl)
        else:
            await self._manager.aset(address, tuple(kept), ttl=ttl)

    async def _end(self, address: Any) -> None:
        """Forget ``address``, and what is under way there, which may be from before."""
        for capture in self._under_way.get(address, ()):
            capture.overtaken = True
        await self._manager.adelete(address)

    async def _told(self, scope: Scope, said: dict[str, str], receive: Receive, send: Send) -> bool:
        """Answer with what is kept; say whether there was anything."""
        kept = await self._find(scope)
        if kept is None or (said.get("max-age", "").isdigit() and kept.age > int(said["max-age"])):
            return False
        if not kept.is_fresh:
            self._ask_behind(scope)
        if (route := self._routes.get(_address(scope))) is not None:
            scope.setdefault("route", route)  # for those who count requests
        self._counts["hit" if kept.is_fresh else "stale"].inc()
        for message in kept.messages(scope["method"], values(scope["headers"], b"if-none-match")):
            await send(message)
        return True

    # -- what is not --

    async def _ask(
        self, scope: Scope, said: dict[str, str], receive: Receive, send: Send, *, reload: bool
    ) -> None:
        """Have the application answer; alone, where others ask for the same."""
        name = asyncio.get_running_loop(), _address(scope)
        alone = scope["method"] == "GET" and not _personal(scope) and not reload
        if alone and name[1] not in self._not_kept and (flight := self._flights.get(name)) is not None:
            await asyncio.wait([flight])
            if await self._told(scope, said, receive, send):
                return
        self._counts["miss"].inc()
        if scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        await self._lead(name, scope, receive, send)

    async def _lead(self, name: Any, scope: Scope, receive: Receive, send: Send) -> None:
        flight = name[0].create_future()
        mine = self._flights.setdefault(name, flight) is flight

        def land() -> None:
            if not flight.done():
                flight.set_result(None)
            if mine and self._flights.get(name) is flight:
                del self._flights[name]

        def give_up() -> None:
            self._not_kept[name[1]] = True
            land()

        capture = Capture(send, self._most, self._ttl, give_up)
        beside = self._under_way.setdefault(name[1], set())
        beside.add(capture)
        try:
            await self._app(scope, receive, capture)
            await capture.end()
            await self._keep(scope, capture)
        finally:
            beside.discard(capture)
            if not beside and self._under_way.get(name[1]) is beside:
                del self._under_way[name[1]]
            land()
        if capture.kept is not None:
            self._not_kept.delete(name[1])
            self._routes[name[1]] = scope.get("route")
            wanted = values(scope["headers"], b"if-none-match")
            for message in capture.kept.messages(scope["method"], wanted):
                await send(message)

    def _ask_behind(self, scope: Scope) -> None:
        """Have the application answer nobody, so that what is kept is fresh again; once at a time."""
        name = asyncio.get_running_loop(), _address(scope)
        if name in self._flights:
            return
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in _CONDITIONS]
        again = {**scope, "method": "GET", "headers": headers}
        task = name[0].create_task(self._lead(name, again, _nothing, _nobody))
        self._behind.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._behind.discard(task)
        if not task.cancelled():
            task.exception()  # the next request is told of it, if it still happens


def _asks(scope: Scope) -> bool:
    """Say whether a request may be answered with what was told to others, or told to others."""
    if scope["method"] not in {"GET", "HEAD"}:
        return False
    names = {name.lower() for name, _ in scope["headers"]}
    if {b"range", b"transfer-encoding", b"upgrade"} & names or (names & _CONDITIONS - {b"if-none-match"}):
        return False
    length = values(scope["headers"], b"content-length")
    return length in ([], [b"0"]) and "no-store" not in directives(scope["headers"])


def _personal(scope: Scope) -> bool:
    return any(name.lower() in {b"authorization", b"cookie"} for name, _ in scope["headers"])


def _address(scope: Scope) -> tuple[Any, ...]:
    path = scope.get("raw_path") or scope["path"].encode()
    host = b",".join(values(scope["headers"], b"host")).lower()
    root = scope.get("root_path", "")
    return "response", scope.get("scheme", "http"), host, root, path, scope.get("query_string", b"")


def _variant(address: tuple[Any, ...], held: tuple[Any, ...], scope: Scope) -> tuple[Any, ...]:
    """The key of one of the responses of an address; ``held`` are the names they vary by, and a token."""
    names, token = held
    found = tuple(b",".join(values(scope["headers"], name)) for name in names)
    present = tuple(len(values(scope["headers"], name)) for name in names)
    return *address, token, names, found, present


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nobody(message: Any) -> None:
    """Whom nothing is told."""
