"""Addresses of host names, within a deadline.

The system's resolver takes as long as it likes (often some multiple of 5 seconds) and nothing can cut it. So
it works in a thread of the pool, one look-up of a name at a time; what it found is used for a while, and for
longer while it does not answer.
"""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from threading import Event
from time import monotonic
from typing import Final

from perfcore.cache.background import shared

__all__ = ["addresses"]

#: For how many seconds an answer is used without asking again, as long as DNS often allows.
_FRESH: Final = 30.0
#: How many names are remembered; a cluster has some thousand nodes at most.
_MOST: Final = 4096
#: What is waited for a new answer while there is an older one.
_PATIENCE: Final = 0.1


class _Name:
    """What is known of one name, and the look-up that is under way."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.error: OSError | None = None
        self.fresh_until = 0.0
        self.asked: Event | None = None

    def answer(self, host: str, asked: Event) -> None:
        """Ask the system, for as long as that takes."""
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            self.found = list(dict.fromkeys(str(row[4][0]) for row in rows))
            self.fresh_until, self.error = monotonic() + _FRESH, None
        except OSError as error:
            self.error = error
        finally:
            self.asked = None
            asked.set()


_names: dict[str, _Name] = {}
os.register_at_fork(after_in_child=_names.clear)  # the threads that ask are the parent's


def addresses(host: str, deadline: float) -> list[str]:
    """Return the addresses of ``host``, which may be one, by ``deadline`` in monotonic time.

    An older answer is returned where there is no newer one in time. Raises :exc:`OSError` for a name that
    has none, :exc:`TimeoutError` when nobody answers.

    >>> addresses("127.0.0.1", 0.0)
    ['127.0.0.1']
    """
    if _is_address(host):
        return [host]
    if len(_names) > _MOST:
        _names.clear()
    name = _names.setdefault(host, _Name())
    now = monotonic()
    if now < name.fresh_until:
        return name.found
    _ask(name, host, min(deadline, now + _PATIENCE) if name.found else deadline)
    if name.found:
        return name.found
    raise name.error or TimeoutError(f"no address of the server's name in {deadline - now:.3g} s")


def _ask(name: _Name, host: str, until: float) -> None:
    """Wait for an answer until then; one that comes later is kept as well."""
    asked = name.asked
    if asked is None:
        name.asked = asked = Event()
        looking = asked
        if not shared().submit(lambda: name.answer(host, looking)):
            name.asked = None
            return
    asked.wait(max(0.0, until - monotonic()))


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
