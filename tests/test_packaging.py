"""The source archive is complete: built, unpacked outside git, and installed, it works and is optimised."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_source_archive_installs_outside_git(tmp_path):
    run("-m", "build", "-q", "--no-isolation", "--sdist", "--outdir", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "src", filter="data")
    (source,) = (tmp_path / "src").iterdir()
    assert not (source / ".git").exists()
    assert {"LICENSE", "ARCHITECTURE.md", "Makefile", "tests", "benchmarks", "src_c"} <= {
        path.name for path in source.iterdir()
    }
    target = tmp_path / "installed"
    run(
        "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--target", target, ".", cwd=source
    )
    assert (target / "perfcore" / "py.typed").exists()
    assert (target / "perfcore" / "_native" / "cache.pyi").exists()
    assert (target / "perfcore" / "monitor" / "serve" / "assets" / "page.html").exists()
    code = (
        "import perfcore, perfcore._native.build as b; from perfcore import Cache\n"
        "c = Cache(2); c['a'] = 1; print(perfcore.__file__, b.build_info()['optimized'], c['a'])"
    )
    told = run("-c", code, cwd=tmp_path, PYTHONPATH=str(target))
    assert told.split() == [str(target / "perfcore" / "__init__.py"), "True", "1"]
