"""The ``perfcore`` command. Its own needs are the extra ``cli``; this file imports nothing of it."""

import sys

from perfcore.errors import MissingExtraError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]


def main() -> "NoReturn":
    """Run the command line in ``sys.argv`` and exit: 0 done, 1 failed, 2 called wrongly, 130 interrupted."""
    try:
        from perfcore.cli.root import run

        run()
    except MissingExtraError as error:
        print(f"perfcore: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
