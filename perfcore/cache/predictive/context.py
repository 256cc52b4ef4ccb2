"""What is known about a request beside its key, and the features that a model makes of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["KINDS", "AccessContext", "Feature", "features"]

#: The kinds of features, in the order of the model's inputs.
KINDS: Final = ("hour", "weekday", "user_type", "project_size", "recent_file", "file_type")

#: Files and types beyond these say little, and each costs the same.
_MOST: Final = 8

Feature = tuple[int, str]


@dataclass(frozen=True, slots=True)
class AccessContext:
    """The circumstances of a request; whatever is not known is left out.

    ``client`` tells apart whose requests interleave (a user, a session, a connection): any hashable thing.
    ``user_type`` is a role, ``project_size`` a number of files, ``recent_files`` names, latest first, of
    which eight count, as of ``file_types`` (``".py"``). ``time`` is local time, None for now.

    >>> AccessContext(client="session 7", user_type="admin", project_size=1200, file_types=(".py",)).user_type
    'admin'
    """

    client: Hashable = None
    user_type: str | None = None
    project_size: int | None = None
    recent_files: tuple[str, ...] = ()
    file_types: tuple[str, ...] = ()
    time: datetime | None = None


def features(context: AccessContext) -> Iterator[Feature]:
    """Yield the features of a context, each with the number of its kind.

    >>> [value for _, value in features(AccessContext(user_type="admin", project_size=1200))][2:]
    ['admin', '11']
    """
    moment = context.time or datetime.now().astimezone()
    yield 0, str(moment.hour)
    yield 1, str(moment.weekday())
    if context.user_type is not None:
        yield 2, str(context.user_type)
    if context.project_size is not None:
        yield 3, str(int(context.project_size).bit_length())  # octaves: 1000 files and 1500 are alike
    for name in context.recent_files[:_MOST]:
        yield 4, str(name)
    for name in context.file_types[:_MOST]:
        yield 5, str(name)
