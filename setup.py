"""Builds the native rooms of perfcore: one extension per concept, each with only the C files it needs.

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
#: A function of the core that an extension does not call is not in it (a third of their size).
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

#: what a cache is made of
CACHE = (
    "alloc",
    "cache",
    "clock",
    "curve",
    "dense",
    "duel",
    "ghost",
    "list",
    "policy",
    "queues",
    "sketch",
    "slots",
    "table",
    "wheel",
)

#: extension -> the C files of the core that it needs (the core has no globals, so copies are harmless)
EXTENSIONS = {
    "buffers": ("alloc", "buffers", "pages"),
    "build": (),
    "tags": (),
    "engine": CACHE,
    "batches": CACHE,
    "census": ("alloc", "census", "clock"),
    "explaining": CACHE,
    "labels": CACHE,
    "copying": CACHE,
    "iteration": CACHE,
    "cache": CACHE,
    "curve": CACHE,
    "keys": (),
    "memo": CACHE,
    "envelope": (),
    "plain": (),
    "unpack": (),
    "predict": ("alloc", "history", "judge", "predict"),
    "ready": (),
    "depot": ("alloc", "buffers", "clock", "pages"),
    "objects": ("clock",),
    "events": ("alloc", "queue"),
    "files": (),
    "histogram": ("clock", "hist"),
    "methods": (),
    "stopwatch": ("clock",),
    "meters": (),
    "metrics": ("clock",),
    "ring": ("alloc", "clock", "ring"),
    "timer": ("clock", "hist"),
    "simulate": (
        "alloc",
        "dense",
        "duel",
        "ghost",
        "ids",
        "list",
        "policy",
        "queues",
        "recency",
        "replay",
        "sketch",
        "slots",
    ),
    "tier": (),
    "watching": (),
}


def extension(name: str, sources: tuple[str, ...]) -> Extension:
    return Extension(
        f"perfcore._native.{name}",
        [f"perfcore/_native/{name}.pyx", *(f"src_c/{source}.c" for source in sources)],
        include_dirs=["src_c"],
        depends=sorted(map(str, Path("src_c").glob("*.h"))),
        define_macros=[("PC_BUILD_MODE", f'"{MODE}"')],
        extra_compile_args=[*COMMON, *COMPILE],
        extra_link_args=LINK,
    )


#: What Cython writes for memoryviews and functions of Python: once, and not in each extension that has some.
SHARED = "perfcore._native._shared"


def shared() -> Extension:
    place = f"{SHARED.replace('.', '/')}.c"
    return Extension(SHARED, [place], extra_compile_args=[*COMMON, *COMPILE], extra_link_args=LINK)


class Build(build_ext):
    """Compiles each C file once, however many extensions need it, with all processors at work."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or PROCESSORS

    def build_extensions(self) -> None:
        core = sorted({source for one in self.extensions for source in one.sources if source[:6] == "src_c/"})
        with ThreadPoolExecutor(self.parallel) as pool:
            objects = dict(zip(core, pool.map(self._object, core), strict=True))
        for one in self.extensions:
            needed = [source for source in one.sources if source in objects]
            one.sources = [source for source in one.sources if source not in objects]
            one.depends, one.extra_objects = [*one.depends, *needed], [objects[source] for source in needed]
        super().build_extensions()

    def _object(self, source: str) -> str:
        """Return the object file of a source of the core, compiled if anything is newer."""
        made = Path(self.build_temp, MODE, source).with_suffix(".o")
        read = [source, "setup.py", *Path("src_c").glob("*.h")]
        if not made.exists() or made.stat().st_mtime < max(Path(path).stat().st_mtime for path in read):
            self.compiler.compile(
                [source],
                output_dir=str(Path(self.build_temp, MODE)),
                include_dirs=["src_c"],
                extra_postargs=[*COMMON, *COMPILE],
            )
        return str(made)


def extensions() -> list[Extension]:
    if MODE == "none":
        return []
    return cythonize(
        [shared(), *(extension(name, sources) for name, sources in EXTENSIONS.items())],
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


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": Build, "bdist_wheel": packing.Wheel, "sdist": packing.SourceArchive},
)
