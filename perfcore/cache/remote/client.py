"""Connections of a client library: valkey-py's, or those of any client that has redis-py's shape.

Only its connections are used. Pools, retries and cluster logic of client libraries each wait on their own;
here a call has one deadline for everything.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from perfcore.cache.remote.timed import timed
from perfcore.cache.remote.tls import Tls, verifies
from perfcore.cache.remote.topology import Address
from perfcore.errors import ConfigError, MissingExtraError

__all__ = ["Connector"]

_PORT = 6379
#: What is taken over from a client that was passed in, and may be given as ``connection=``.
_KEPT = {
    *("db", "username", "password", "credential_provider", "client_name", "path"),
    *("socket_keepalive", "socket_keepalive_options", "socket_read_size", "socket_type"),
}


class Connector:
    """Knows where the servers are, at first, and how to connect to one of them."""

    def __init__(self, library: str, kind: str, options: dict[str, Any], seeds: list[Address]) -> None:
        self._library, self._kind = library, kind
        self.seeds = seeds
        self.tls = kind.startswith("SSL")
        self._options = {**options, "protocol": 2, "encoding": "utf-8", "decode_responses": False}
        self.errors: type[Exception] = import_module(f"{library}.exceptions").ResponseError
        self._makers: dict[bool, tuple[Any, dict[str, Any]]] = {}
        if self.tls:  # valkey-py by itself does not look at the names in certificates
            self._options.setdefault("ssl_check_hostname", verifies(self._options))
        self._tls = Tls(self._options) if self.tls else None

    @classmethod
    def of_url(cls, url: str, options: Mapping[str, Any]) -> Connector:
        """Make one of ``redis[s]://``, ``valkey[s]://`` or ``unix://``; :exc:`ConfigError` for others."""
        try:
            parsed = dict(_valkey().parse_url(url))
        except ValueError as error:
            raise ConfigError(f"url: {str(error).replace(url, '...')}") from None
        kind = parsed.pop("connection_class", _valkey().Connection).__name__
        seed = (str(parsed.get("path") or parsed.pop("host", "localhost")), int(parsed.pop("port", _PORT)))
        return cls("valkey", kind, _allowed({**parsed, **options}), [seed])

    @classmethod
    def of_nodes(cls, nodes: Iterable[str], options: Mapping[str, Any]) -> Connector:
        """Make one of ``host[:port]`` strings, where any may be down; ``ssl=True`` in ``options`` for TLS."""
        _valkey()
        if isinstance(nodes, str):
            raise ConfigError("nodes: expected several `host:port`, got one str")
        given = dict(options)
        kind = "SSLConnection" if given.pop("ssl", False) else "Connection"
        return cls("valkey", kind, _allowed(given), [_address(node) for node in nodes])

    @classmethod
    def of_client(cls, client: Any) -> Connector:
        """Make one like those of ``client``: valkey-py's or redis-py's, sync or async, cluster or not."""
        library = type(client).__module__.partition(".")[0]
        manager = getattr(client, "nodes_manager", None)
        try:
            if manager is not None:
                given = dict(getattr(manager, "connection_kwargs", None) or client.connection_kwargs)
                seeds = [(str(node.host), int(node.port)) for node in manager.startup_nodes.values()]
                kind = "SSLConnection" if _speaks_tls(given) else "Connection"
            else:
                pool = client.connection_pool
                given, kind = dict(pool.connection_kwargs), pool.connection_class.__name__
                seeds = [(str(given.get("path") or given["host"]), int(given.get("port", 0)))]
            kept = {name: value for name, value in given.items() if name in _KEPT or name.startswith("ssl_")}
            if not isinstance(kept.get("socket_keepalive_options"), Mapping):  # a library's own word for none
                kept.pop("socket_keepalive_options", None)
            if kind.startswith("SSL"):
                kept.setdefault("ssl_check_hostname", _looks_at_names(library))
            return cls(library, kind, kept, seeds)
        except (AttributeError, KeyError, TypeError, ImportError) as error:
            raise ConfigError(f"client: expected one of redis-py's shape, got {type(client)!r}") from error

    def connect(self, address: Address, timeout: float) -> Any:
        """Return a connection to ``address``; raises whatever the library does when there is none."""
        connection = self._make(address, timeout, asynchronous=False)
        connection.connect()
        return connection

    async def aconnect(self, address: Address, timeout: float) -> Any:
        """Return a connection for the running event loop."""
        connection = self._make(address, timeout, asynchronous=True)
        await connection.connect()
        return connection

    def _make(self, address: Address, timeout: float, *, asynchronous: bool) -> Any:
        maker, options = self._makers.get(asynchronous) or self._maker(asynchronous)
        where = {} if "path" in options else {"host": address[0], "port": address[1]}
        made = maker(socket_timeout=timeout, socket_connect_timeout=timeout, **where, **options)
        if self._tls is not None:
            if asynchronous:
                made.ssl_context.context = self._tls.context()
            else:
                made.tls = self._tls
        return made

    def _maker(self, asynchronous: bool) -> tuple[Any, dict[str, Any]]:
        module = import_module(f"{self._library}.{'asyncio.' if asynchronous else ''}connection")
        maker = getattr(module, self._kind)
        known = _parameters(maker)
        options = {name: value for name, value in self._options.items() if name in known}
        if "lib_name" in known and "driver_info" not in known:
            options["lib_name"] = None  # spares a new connection two round trips
            options["lib_version"] = None
        if not asynchronous:  # there, a timeout around everything is the event loop's
            maker = timed(maker)
        self._makers[asynchronous] = maker, options
        return self._makers[asynchronous]


def _valkey() -> Any:
    try:
        return import_module("valkey.connection")
    except ImportError as error:
        raise MissingExtraError("valkey", "valkey") from error


def _allowed(options: dict[str, Any]) -> dict[str, Any]:
    strange = [name for name in options if name not in _KEPT and not name.startswith("ssl_")]
    if strange:
        raise ConfigError(f"connection: unknown options {', '.join(sorted(strange))}")
    return options


def _address(node: object) -> Address:
    host, colon, port = str(node).rpartition(":")
    if not colon or (str(node).startswith("[") and str(node).endswith("]")):
        host, port = str(node), str(_PORT)
    if not isinstance(node, str) or not host or not port.isdigit() or "/" in host or "@" in host:
        raise ConfigError(f"nodes: expected `host:port`, got a {type(node).__name__} that is none")
    return host.strip("[]"), int(port)


def _speaks_tls(options: Mapping[str, Any]) -> bool:
    kind = options.get("connection_class")
    return bool(options.get("ssl")) or (kind is not None and kind.__name__.startswith("SSL"))


def _looks_at_names(library: str) -> bool:
    """Say whether a client that was not told either way holds certificates against the name of the server."""
    connection = import_module(f"{library}.connection").SSLConnection
    return bool(inspect.signature(connection).parameters["ssl_check_hostname"].default)


def _parameters(maker: Any) -> set[str]:
    """What a connection class and those it derives from take."""
    known: set[str] = set()
    for base in maker.__mro__:
        init = base.__dict__.get("__init__")
        if init is not None and base is not object:
            known |= set(inspect.signature(init).parameters)
    return known - {"self", "args", "kwargs"}
