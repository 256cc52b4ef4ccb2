"""Which of a cluster's 16 384 slots a name belongs to, and which shard has each slot."""

from __future__ import annotations

from binascii import crc_hqx

__all__ = ["SLOTS", "slot_of"]

SLOTS = 16_384


def slot_of(name: bytes) -> int:
    """Return the slot of ``name``: CRC16 (XMODEM) of it, or of what stands between its first braces.

    From the cluster specification of Redis and Valkey.

    >>> slot_of(b"123456789") == 0x31C3 % SLOTS, slot_of(b"a{123456789}b") == slot_of(b"123456789")
    (True, True)
    >>> slot_of(b"{}a") == slot_of(b"a")  # nothing between the braces: all of it counts
    False
    """
    begin = name.find(b"{")
    if begin >= 0:
        end = name.find(b"}", begin + 1)
        if end > begin + 1:
            name = name[begin + 1 : end]
    return crc_hqx(name, 0) & (SLOTS - 1)
