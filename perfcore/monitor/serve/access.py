"""Who may ask: whoever is on this machine and means it, or has the token."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address

from perfcore._repr import safe_repr
from perfcore.monitor.serve.request import Refused, Request

__all__ = ["Access", "is_loopback"]


def is_loopback(address: str) -> bool:
    """Say whether a numeric address is of this machine alone.

    >>> is_loopback("127.0.0.5"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, True, False, False)
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


class Access:
    """The door of a server that is bound to ``address``.

    Without a token anyone on the machine may ask, and a page in a browser there is not "anyone": a name that
    its owner has pointed at 127.0.0.1 (DNS rebinding) is refused, because only names of this machine and
    ``hosts`` are answered to. Raises ValueError for an address that others can reach without a token, and for
    a token that cannot be sent in a header.
    """

    def __init__(self, address: str, token: str | None, hosts: Iterable[str] = ()) -> None:
        local = is_loopback(address)
        if token is None and not local:
            raise ValueError(f"a token is required where others can ask: {address} is not this machine alone")
        if token is not None and not (token.isascii() and token.isprintable() and token and " " not in token):
            raise ValueError("a token is a string of printable ASCII without spaces, and not empty")
        self._token = None if token is None else _digest(token)
        self._local = local
        self._hosts = {host.lower().rstrip(".") for host in hosts}

    @safe_repr
    def __repr__(self) -> str:
        return f"<Access: {'anyone on this machine' if self._token is None else 'with a token'}>"

    def check_host(self, request: Request) -> None:
        """Raise :exc:`Refused` where the request is meant for another name."""
        named = request.fields.get("host")
        if named is None or not (self._local or self._hosts):
            return  # only programs leave it out; and elsewhere the token is what counts
        host = _without_port(named)
        if host not in self._hosts and host != "localhost" and not is_loopback(host):
            raise Refused(421, "this server has another name")

    def check_token(self, request: Request) -> None:
        """Raise :exc:`Refused` without the right token; how long that takes says nothing about it."""
        if self._token is None:
            return
        scheme, _, given = request.fields.get("authorization", "").partition(" ")
        right = compare_digest(_digest(given.strip()), self._token)
        if not (right and scheme.lower() == "bearer"):
            raise Refused(401, "a token is required", WWW_Authenticate='Bearer realm="perfcore"')


def _digest(token: str) -> bytes:
    """Return what tokens are compared by: of one length, so that not even that can be measured."""
    return sha256(token.encode()).digest()


def _without_port(host: str) -> str:
    """Return the name in a Host field.

    >>> _without_port("[::1]:80"), _without_port("LocalHost.:9100"), _without_port("::1")
    ('::1', 'localhost', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, _ = host.rpartition(":")
    plain = name if colon and ":" not in name else host
    return plain.lower().rstrip(".")
