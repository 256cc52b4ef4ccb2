"""Builds the native rooms of perfcore, a module for each concept, and the C core into one file.

``PERFCORE_BUILD`` chooses the mode: ``release`` (default), ``profile`` (the same with line numbers for
profilers of native code, five times the size), ``debug`` (consistency checks after each mutation), ``asan``
(address and undefined-behaviour sanitizers), ``tsan`` (thread sanitizer), ``coverage`` (gcov),
``trace`` (Cython line tracing). ``none`` leaves the extensions to a later ``setup.py build_ext --inplace``.
``PERFCORE_WARNINGS=error`` makes errors of the compiler's warnings.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent / "tools"))
import packing

MODE = os.environ.get("PERFCORE_BUILD", "release")
PROCESSORS = os.cpu_count() or 1

# -O3 stands here and not in CFLAGS: newer setuptools lets the environment's CFLAGS replace the interpreter's
# own, and several projects shipped -O0 wheels that way (tests/native/test_build.py guards it).
COMMON = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"]
#: What stops an attacker with a bug at hand: 1 instruction in 1 000 of gets and sets (callgrind).
LINUX = sys.platform == "linux"
HARDEN = ["-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"] if LINUX else []
OPTIMIZE = ["-O3", "-DNDEBUG", *HARDEN, "-ffunction-sections", "-fdata-sections"]
#: A function that no room calls is left out.
LINK_OPTIMIZED = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,--gc-sections"] if LINUX else []
SANITIZE = ["-O1", "-g", "-UNDEBUG", "-DPC_DEBUG=1", "-fno-omit-frame-pointer"]
FLAGS = {
    # -g0: interpreters are built with -g, and hand it on; the names of functions stay for profilers
    "release": ([*OPTIMIZE, "-g0"], LINK_OPTIMIZED),
    "profile": ([*OPTIMIZE, "-g"], LINK_OPTIMIZED),
    "debug": (["-O0", "-g3", "-UNDEBUG", "-DPC_DEBUG=1"], []),
    "asan": (
        [*SANITIZE, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        ["-fsanitize=address,undefined"],
    ),
    "tsan": ([*SANITIZE, "-fsanitize=thread"], ["-fsanitize=thread"]),
    "coverage": (["-O0", "-g1", "-DNDEBUG", "--coverage"], ["--coverage"]),
    "trace": (["-O1", "-DCYTHON_TRACE=1", "-DCYTHON_TRACE_NOGIL=1", "-DCYTHON_USE_SYS_MONITORING=0"], []),
    "none": ([], []),
}
if MODE not in FLAGS:
    raise SystemExit(f"PERFCORE_BUILD={MODE!r}: expected one of {', '.join(FLAGS)}")
COMPILE, LINK = FLAGS[MODE]
if os.environ.get("PERFCORE_WARNINGS") == "error":  # in CI; another compiler may warn of more
    COMPILE = [*COMPILE, "-Werror"]

#: One file for all rooms: an extension of its own cost each 75 kB, of which three quarters were copies.
ONE = "perfcore._native._rooms"
#: What Cython writes for memoryviews and functions of Python: once, and not in each room that has some.
SHARED = "perfcore._native._shared"
ROOMS = sorted(path.stem for path in Path("perfcore/_native").glob("*.pyx"))
CORE = sorted(map(str, Path("src_c").glob("*.c")))
#: rooms whose code runs for each call or value: they and the core are optimized for speed, others for size
HOT = {
    "batches",
    "buffers",
    "cache",
    "depot",
    "engine",
    "envelope",
    "events",
    "histogram",
    "keys",
    "labels",
    "memo",
    "methods",
    "metrics",
    "objects",
    "plain",
    "predict",
    "ready",
    "ring",
    "stopwatch",
    "tags",
    "tier",
    "timer",
    "unpack",
    "watching",
}
SMALL = ["-Os"] if MODE in ("release", "profile") else []


class Build(build_ext):
    """Compiles each C file for speed or for size, with all processors at work."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or PROCESSORS

    def build_extensions(self) -> None:
        (rooms,) = self.extensions
        with ThreadPoolExecutor(self.parallel) as pool:
            objects = list(pool.map(self._object, rooms.sources))
        rooms.sources, rooms.extra_objects, rooms.depends = [], objects, objects
        _forget_single_rooms(Path(self.get_ext_fullpath(rooms.name)))
        super().build_extensions()

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        _forget_single_rooms(Path("perfcore/_native", self.get_ext_filename(ONE).rpartition(os.sep)[2]))

    def _object(self, source: str) -> str:
        """Return the object file of a source, compiled if anything is newer."""
        made = Path(self.build_temp, MODE, source).with_suffix(".o")
        read = [source, "setup.py", *Path("src_c").glob("*.h")]
        if not made.exists() or made.stat().st_mtime < max(Path(path).stat().st_mtime for path in read):
            fast = source in CORE or Path(source).stem in HOT
            self.compiler.compile(
                [source],
                output_dir=str(Path(self.build_temp, MODE)),
                macros=[("PC_BUILD_MODE", f'"{MODE}"')],
                include_dirs=["src_c"],
                extra_postargs=[*COMMON, *COMPILE, *([] if fast else SMALL)],
            )
        return str(made)


def _forget_single_rooms(rooms: Path) -> None:
    """Remove what builds of earlier versions left beside ``rooms``: Python would find it first."""
    for old in rooms.parent.glob(f"*.{rooms.name.partition('.')[2]}"):
        if old != rooms:
            old.unlink()


def extensions() -> list[Extension]:
    """Return the one extension, of what Cython makes of all rooms and of the core."""
    if MODE == "none":
        return []
    written = cythonize(
        [
            Extension(SHARED, [f"{SHARED.replace('.', '/')}.c"]),
            *(Extension(f"perfcore._native.{room}", [f"perfcore/_native/{room}.pyx"]) for room in ROOMS),
        ],
        shared_utility_qualified_name=SHARED,
        build_dir=f"build/cython-{MODE}",
        nthreads=PROCESSORS if LINUX else 0,
        compiler_directives={
            "language_level": 3,
            "linetrace": MODE == "trace",
            "freethreading_compatible": True,  # `make free-threaded` is what says so
        },
        annotate=False,
    )
    sources = [source for room in written for source in room.sources]
    return [Extension(ONE, [*sources, *CORE], extra_link_args=LINK)]


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": Build, "bdist_wheel": packing.Wheel, "sdist": packing.SourceArchive},
)
