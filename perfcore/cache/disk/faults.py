"""What can go wrong below a disk cache, by what is to be done about it."""

from __future__ import annotations

import errno

import lmdb

__all__ = ["DAMAGE", "LOW_LEVEL", "Unavailable", "disk_full"]


class Unavailable(Exception):  # noqa: N818  # never leaves the disk tier
    """The disk cannot be had at the moment: reads miss, writes leave tombstones."""


#: The file contradicts itself. CursorFull, PageFull and BadValsize are what damaged pages make LMDB say too.
DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    lmdb.PanicError,
    lmdb.CursorFullError,
    lmdb.PageFullError,
    lmdb.BadValsizeError,
    lmdb.BadTxnError,
    lmdb.BadDbiError,
    lmdb.NotFoundError,
    SystemError,  # py-lmdb's own, when two of these meet
)

#: All that a transaction may raise when the fault is not in this program.
LOW_LEVEL = (lmdb.Error, OSError, SystemError)


def disk_full(error: BaseException) -> bool:
    """Say whether ``error`` means that the disk, or a quota on it, is used up.

    LMDB reports a short write as EIO, which is how some file systems say it first.
    """
    code = getattr(error, "code", None) or getattr(error, "errno", None)
    return code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
