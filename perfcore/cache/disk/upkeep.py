"""Looking a whole cache over, and making its file as small as what is in it."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from perfcore.cache.codec.entry import COMPRESSED, key_of, unseal
from perfcore.cache.disk.environment import DATA_FILE
from perfcore.cache.disk.faults import Unavailable
from perfcore.cache.disk.ledger import Ledger, Txn, name_of
from perfcore.cache.disk.store import Store
from perfcore.errors import CodecError

__all__ = ["Verification", "vacuum", "verify"]

#: Entries that are copied out in one read transaction.
_STRIDE = 64


class Verification(NamedTuple):
    """What :func:`verify` found: entries that are whole, what it removed, and how the file is built.

    ``structure`` is None where the file is sound, and otherwise says what is wrong; the file has been put
    aside then.
    """

    entries: int
    removed: int
    structure: str | None


def verify(store: Store, secret: bytes | None) -> Verification:
    """Check the file's structure and every entry in it, and remove what is damaged."""
    store.drain()
    finding = _check_structure(store)
    if finding is not None:
        return Verification(0, 0, finding)
    whole, bad, number = 0, [], b""

    def some(txn: Txn, ledger: Ledger) -> list[tuple[bytes, bytes]]:
        return [(place, bytes(entry)) for place, entry in islice(ledger.after(txn, number), _STRIDE)]

    nothing: list[tuple[bytes, bytes]] = []
    while found := store.access.read(some, nothing):
        for number, entry in found:
            if _is_whole(store, entry, secret):
                whole += 1
            else:
                bad.append((number, name_of(key_of(entry))))

    def remove(txn: Txn, ledger: Ledger) -> int:
        for place, name in bad:
            ledger.drop(txn, place, name)
        return len(bad) + ledger.remove_orphans(txn)

    try:
        removed = store.access.write(remove)
    except Unavailable:
        removed = 0
    store.counters.damaged += removed
    return Verification(whole, removed, None)


def vacuum(store: Store) -> int:
    """Write the file anew without free pages; returns how many bytes that saved, 0 if others use it."""
    store.drain()
    return store.access.compact()


def _check_structure(store: Store) -> str | None:
    """Look at the file while the write lock keeps it still."""
    from perfcore.cache.disk import structure  # numpy, which nothing else here needs

    try:
        store.access.write(lambda txn, ledger: structure.check(store.directory / DATA_FILE))
    except Unavailable:
        return None
    except structure.Unsound as finding:
        store.access.condemn(finding)
        return str(finding)
    return None


def _is_whole(store: Store, entry: bytes, secret: bytes | None) -> bool:
    try:
        _, flags, dictionary, raw_length, _, _, payload, _ = unseal(entry, key_of(entry), secret)
        if flags & COMPRESSED:
            store.packing.restore(payload, dictionary, raw_length)
    except CodecError:
        return False
    return True
