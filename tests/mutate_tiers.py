"""Does the model of the tiers notice mistakes? Each of these is made in a copy, in which the model is run.

    python tests/mutate_tiers.py [NAME...]

Prints which were caught. A mistake that the model cannot see (a race, a cost) has no place in this list.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MODEL = "tests/cache/test_tiers_model.py"


class Mistake(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str


MISTAKES = [
    Mistake(**one) for one in tomllib.loads((ROOT / "tests/cache/mistakes.toml").read_text())["mistake"]
]
#: A failure is enough; hypothesis need not look for the shortest one.
PLUGIN = """from hypothesis import Phase, settings
settings.register_profile("generate", phases=[Phase.generate], print_blob=False)
settings.load_profile("generate")
"""


def caught(mistake: Mistake) -> bool | None:
    """Whether the model fails with ``mistake``; None where what it changes is no longer there."""
    with tempfile.TemporaryDirectory(prefix="perfcore-mutant-") as folder:
        shutil.copytree(ROOT / "perfcore", Path(folder) / "perfcore")
        (Path(folder) / "generating.py").write_text(PLUGIN)
        file = Path(folder) / "perfcore/cache" / mistake.file
        text = file.read_text()
        if mistake.right not in text:
            return None
        file.write_text(text.replace(mistake.right, mistake.wrong))
        options = ["-qxp", "no:cacheprovider", "-p", "generating", "-c", ROOT / "pyproject.toml"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "--rootdir", ROOT, ROOT / MODEL],
            cwd=folder,  # which comes first on the path
            capture_output=True,
        )
        assert done.returncode in (0, 1), done.stdout.decode() + done.stderr.decode()
        return done.returncode == 1


def main() -> None:
    wanted = [mistake for mistake in MISTAKES if mistake.name in sys.argv[1:] or not sys.argv[1:]]
    verdicts = {True: "caught", False: "MISSED", None: "OUTDATED"}
    found = []
    for mistake in wanted:
        found.append(caught(mistake))
        print(f"{verdicts[found[-1]]:9}{mistake.name}", flush=True)
    print(f"{found.count(True)} of {len(found)} caught")


if __name__ == "__main__":
    main()
