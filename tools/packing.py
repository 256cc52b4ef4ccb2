"""How archives are packed: the same bytes from the same sources, and a bill of materials in each wheel.

``SOURCE_DATE_EPOCH`` (seconds since 1970, https://reproducible-builds.org/specs/source-date-epoch/) is the
time of all files; setuptools follows it in wheels, and what stands here in source archives.
"""

import gzip
import os
import tarfile
from pathlib import Path

import sbom
from Cython import __version__ as cython
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.sdist import sdist


class Wheel(bdist_wheel):
    """A wheel with its bill of materials."""

    def write_wheelfile(self, wheelfile_base, *args, **kwargs):
        """Write the bill beside what setuptools writes, before all of it is listed with its hashes."""
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        sbom.write(Path(wheelfile_base), self.distribution.get_version(), cython)


class SourceArchive(sdist):
    """A source archive that does not tell by whom, in which order and, on request, when it was packed."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        """Return the path of the archive of the folder ``base_dir``."""
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        path = Path(f"{base_name}.tar.gz")
        with (
            path.open("wb") as raw,
            gzip.GzipFile("", "wb", 9, raw, mtime=_epoch() or 0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for file in sorted(Path(base_dir).rglob("*")):
                tar.add(file, recursive=False, filter=_anonymous)
        return str(path)


def _anonymous(member):
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    member.mtime = int(member.mtime) if _epoch() is None else _epoch()
    return member


def _epoch():
    told = os.environ.get("SOURCE_DATE_EPOCH")
    return int(told) if told else None
