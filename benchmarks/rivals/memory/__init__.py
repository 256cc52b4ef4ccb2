"""The memory cache beside dict and the other caches: ``python -m benchmarks.rivals.memory --help``."""
