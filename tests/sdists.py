"""Source archives of other projects, whose own test suites ours run: from pip, kept outside the tree.

Nothing of them is copied into this repository. A suite that cannot be fetched is a failure and not a skip:
what it shows is a promise of the documentation.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

#: seconds for pip, which also installs what the archive needs to tell its metadata
_PATIENCE = 300


def unpacked(project, version):
    """Return the folder of the source archive of ``project`` at exactly ``version``, unpacked.

    The first call downloads it into the user's cache folder; later ones, of other processes too, find it
    there. Callers must not write into it. Any number of processes may ask at once: each works in a folder of
    its own, and the first to be done gives the result its name.
    """
    home = user_cache_path("perfcore-tests") / "sdists"
    folder = home / f"{project}-{version}"
    if not folder.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=home) as work:
            _publish(_unpack(_fetch(project, version, Path(work))), folder)
    return folder


def _fetch(project, version, folder):
    wanted = f"{project}=={version}"
    command = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--dest",
        folder,
        wanted,
    ]
    # a sanitizer that is preloaded into the tests must not be into pip and the compilers that it may start
    environment = {
        name: value for name, value in os.environ.items() if name not in {"LD_PRELOAD", "PYTHONPATH"}
    }
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=_PATIENCE
    )
    if done.returncode:
        raise RuntimeError(f"pip could not fetch the source archive {wanted}:\n{done.stderr}")
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _unpack(archive):
    """Return the one folder at the top of ``archive``, unpacked beside it."""
    target = archive.with_name("unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    (top,) = target.iterdir()
    return top


def _publish(top, folder):
    try:
        top.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first, or the disk does not want it
            raise
