"""How this build of the native part was made."""

cdef extern from *:
    """
    #ifdef __OPTIMIZE__
    #define PC_OPTIMIZED 1
    #else
    #define PC_OPTIMIZED 0
    #endif
    #ifdef NDEBUG
    #define PC_ASSERTIONS 0
    #else
    #define PC_ASSERTIONS 1
    #endif
    #if defined(__SANITIZE_ADDRESS__)
    #define PC_SANITIZED "address,undefined"
    #elif defined(__SANITIZE_THREAD__)
    #define PC_SANITIZED "thread"
    #else
    #define PC_SANITIZED ""
    #endif
    #if defined(CYTHON_TRACE) && CYTHON_TRACE
    #define PC_TRACED 1
    #else
    #define PC_TRACED 0
    #endif
    #if defined(__clang__)
    #define PC_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define PC_COMPILER "gcc " __VERSION__
    #else
    #define PC_COMPILER "unknown"
    #endif
    """
    bint PC_OPTIMIZED
    bint PC_ASSERTIONS
    bint PC_TRACED
    const char *PC_SANITIZED
    const char *PC_COMPILER
    const char *PC_BUILD_MODE
    const unsigned int CYTHON_HEX_VERSION
    const char *PY_VERSION

__all__ = ["build_info"]


def build_info():
    """Return how the native part was built, as a dict.

    ``mode`` is the value of ``PERFCORE_BUILD`` at build time, ``optimized``, ``assertions`` and ``traced`` are
    booleans, ``sanitized`` names the sanitizers or is empty, ``compiler``, ``cython`` and ``python`` are versions.

    >>> build_info()["mode"] in {"release", "profile", "debug", "asan", "tsan", "coverage", "trace"}
    True
    """
    return {
        "mode": PC_BUILD_MODE.decode(),
        "optimized": bool(PC_OPTIMIZED),
        "assertions": bool(PC_ASSERTIONS),
        "sanitized": PC_SANITIZED.decode(),
        "traced": bool(PC_TRACED),
        "compiler": PC_COMPILER.decode(),
        "cython": ".".join(str(CYTHON_HEX_VERSION >> shift & 0xFF) for shift in (24, 16, 8)),
        "python": PY_VERSION.decode(),
    }
