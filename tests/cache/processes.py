"""Starting the actors."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

#: How often the tests of this folder kill and fill; ``make chaos`` asks for more.
KILLS = int(os.environ.get("PERFCORE_KILLS", "10"))

ACTORS = Path(__file__).with_name("actors.py")


def command(actor, *arguments):
    return [sys.executable, "-W", "ignore", str(ACTORS), actor, *map(str, arguments)]


#: Root may write anywhere for a capability of its own, which a process can be started without.
_UNPRIVILEGED = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"]


def run(actor, *arguments, timeout=60, unprivileged=False):
    """Return what an actor says when it has ended well; ``unprivileged``: held to the modes of files."""
    before = _UNPRIVILEGED if unprivileged and os.geteuid() == 0 else []
    done = subprocess.run(
        [*before, *command(actor, *arguments)], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@contextmanager
def started(actor, *arguments):
    """An actor at work; it is killed at the end if it has not ended by itself."""
    with subprocess.Popen(
        command(actor, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
