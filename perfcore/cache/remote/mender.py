"""Bringing a remote cache back in step with its servers, in a thread that exists while there is trouble.

It looks at the topology again, tries the servers that are down (so that no caller has to), and tells them
what they have missed. After a failover it also repeats what was confirmed shortly before.
"""

from __future__ import annotations

from threading import Event, Lock, Thread
from time import monotonic
from typing import Final
from weakref import ref

from perfcore._log import logger
from perfcore.cache.remote.drive import ask, run
from perfcore.cache.remote.node import Node
from perfcore.cache.remote.router import Router
from perfcore.cache.remote.scan import names_like
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.stamps import asks_to_move
from perfcore.cache.remote.store import Store
from perfcore.cache.remote.wire import UNAVAILABLE, Ask, pack, refused

__all__ = ["Mender"]

_SHORTEST, _LONGEST = 0.05, 0.5
#: How long a server that is down may take to answer that it is back, in seconds.
_PATIENCE: Final = 0.5
_BATCH: Final = 500
_PING: Final = pack([(b"PING",)])


class Mender:
    """Mends one store; :meth:`wake` costs next to nothing where it is at work already."""

    def __init__(self, store: Store) -> None:
        self._store = ref(store)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stopped = Event()
        self._again = False
        #: How many times servers were told again after a failover.
        self.repeated = 0
        self._seen = store.router.failovers

    def wake(self) -> None:
        """Have the trouble looked after."""
        self._again = True
        if self._thread is None:
            self._begin()

    def _begin(self) -> None:
        self._stopped.clear()
        with self._lock:
            if self._thread is not None:
                return
            thread = Thread(target=self._run, name="perfcore-mender", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # the interpreter ends, or the system is out of threads
                self._thread = None

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def forked(self) -> None:
        """In a forked child: the thread is the parent's."""
        self._lock, self._thread = Lock(), None

    def _run(self) -> None:
        try:
            self._work()
        finally:
            with self._lock:
                self._thread = None

    def _work(self) -> None:
        pause = _SHORTEST
        while not self._stopped.wait(pause):
            store = self._store()
            if store is None:
                return
            self._again = False
            try:
                done = self.mend(store)
            except Exception as error:
                logger("cache").warning("remote tier: mending failed with %s", type(error).__name__)
                done = False
            pause = min(2 * pause, _LONGEST)
            if done and self._end(store):
                return
            del store

    def _end(self, store: Store) -> bool:
        with self._lock:
            if self._again:
                return False
            self._thread, store.mending = None, False
            return True

    def mend(self, store: Store) -> bool:
        """Do what can be done now; say whether all is well."""
        router = store.router
        router.discover(monotonic() + 2 * _PATIENCE)
        broken = self._broken(router)
        well = router.known and not broken
        if router.failovers != self._seen:
            self._seen, self.repeated = router.failovers, self.repeated + 1
            store.epoch.hurry()
            store.note_again()
        store.mending = not well or router.failovers != self._seen or bool(len(store.missed))
        told = self._tell(store)
        self._sweep(store)
        return well and told and not router.stale

    def _broken(self, router: Router) -> int:
        """Try all servers that are down; return how many still are."""
        return sum(not self._try(node) for node in list(router.nodes.values()))

    def _try(self, node: Node) -> bool:
        """Say whether a server is well, which closes its breaker."""
        breaker = node.breaker
        if not (breaker.opened or breaker.failures) or node.address == ("", 0):
            return True
        node.disconnect()
        replies = node.talk(_PING, 1, monotonic() + _PATIENCE)
        if not replies or refused(replies[0]) or replies[0] not in {b"PONG", "PONG"}:
            return False
        breaker.succeeded()
        return True

    def _tell(self, store: Store) -> bool:
        """Tell servers what they have missed; say whether nothing is left."""
        deadline = monotonic() + 4 * _PATIENCE
        # an epoch that could not be told is begun anew: another process may have ended all entries meanwhile
        untold = store.epoch.untold is not None
        if untold and not run(store.router, store.tell_epoch(store.epoch.move()), deadline):
            return False
        while len(store.missed) and monotonic() < deadline:
            keys, tags = store.missed.some(_BATCH)
            asks = [Ask(slot_of(key), (b"UNLINK", key)) for key in keys] + asks_to_move(store.names, tags)
            replies = ask(store.router, asks, deadline)
            taken = [not (reply is UNAVAILABLE or refused(reply)) for reply in replies]
            store.missed.settle(
                [key for key, took in zip(keys, taken, strict=False) if took],
                [tag for tag, took in zip(tags, taken[len(keys) :], strict=True) if took],
            )
            if not any(taken):
                break
        return not len(store.missed)

    def _sweep(self, store: Store) -> None:
        """Remove entries of epochs that were ended here, which would only take room."""
        while store.sweep:
            old = store.sweep.pop()
            for names in names_like(store.router, store.names.pattern(old), _PATIENCE):
                asks = [Ask(slot_of(name), (b"UNLINK", name)) for name in names]
                ask(store.router, asks, monotonic() + _PATIENCE)
                if self._stopped.is_set():
                    return
