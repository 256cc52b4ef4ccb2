"""Leases: of all processes that miss on a key at once, one computes, and a dead one's turn passes on.

A lease is a name with a token of its own that the server drops after ``life`` seconds. Whoever has it
computes and stores; the others look again until there is a value or the lease has ended. What is computed
after one's own lease has ended (by a process that was paused, say) is not stored: somebody newer may have
stored already.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final

from perfcore.cache.remote.drive import ask
from perfcore.cache.remote.names import Names, fresh_stamp
from perfcore.cache.remote.reading import SWAP
from perfcore.cache.remote.router import Router
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, refused

__all__ = ["Leases"]

_SHORTEST, _LONGEST = 0.005, 0.05
#: After so many lives one computes without: leaders that die one after the other hold up nobody for ever.
_LIVES: Final = 2


class Leases:
    """The leases of one prefix."""

    def __init__(self, router: Router, names: Names, timeout: float, life: float) -> None:
        self._router, self._names, self._timeout, self._life = router, names, timeout, life

    def run(
        self, canonical: bytes, look: Callable[[], Any], missing: Any, compute: Callable[..., Any]
    ) -> Any:
        """Return what ``look`` finds, or what ``compute(may_store)`` returns when it is one's turn.

        ``look`` returns ``missing`` when there is nothing; ``may_store()`` says whether it still is.
        """
        name, token = self._names.lease(canonical), fresh_stamp()
        limit, pause = monotonic() + _LIVES * self._life, _SHORTEST
        life = b"%d" % max(1, int(self._life * 1000))
        while (reply := self._ask(name, b"SET", name, token, b"NX", b"PX", life)) is None:
            sleep(pause)
            pause = min(2 * pause, _LONGEST)
            found = look()
            if found is not missing:
                return found
            if monotonic() > limit:
                break
        if reply is None or reply is UNAVAILABLE or refused(reply):
            return compute(lambda: True)  # there is nobody to agree with
        try:
            found = look()  # another process may have been faster
            if found is not missing:
                return found
            return compute(lambda: self._ask(name, b"GET", name) == token)
        finally:
            self._ask(name, b"EVAL", SWAP, b"1", name, token)

    def _ask(self, name: bytes, *words: bytes) -> Any:
        return ask(self._router, [Ask(slot_of(name), words)], monotonic() + self._timeout)[0]
