"""async-lru's own tests, from its source archive, run against perfcore.compat.async_lru."""

from conformance.suites import differences, run

VERSION = "2.4.0"

# Tests that look at private parts of async-lru and not at what it does.
PRIVATE = {
    "test_internals": "every test of it",
    "test_alru_cache_dict_not_shared": "its dict of tasks",
    "test_cache_clear_pending_task": "its set of tasks",
    "test_cache_clear_ttl_callback": "its timer handles",
    "test_alru_cache_removing_lru_keys": "the order of its dict",
    "test_alru_cache_removing_lru_keys_with_full_displacement": "the order of its dict",
}
# Every deviation, with its reason.
DEVIATIONS = {
    "test_cross_loop_auto_resets_cache": "loops share results, which stay",
    "test_cross_loop_preserves_stats_reset": "counts go on when the loop changes",
    "test_loop_change_emits_warning": "a change of the loop does no harm that a warning could be about",
    "test_loop_change_warns_only_once": "the same",
    "test_partialmethod_basic": "a call is looked up, and counted, when it is made",
    "test_partialmethod_partial": "the same",
}

# Makes `import async_lru` give our module, with the private names that its tests import.
SHIM = """
import sys
import perfcore.compat.async_lru as ours
ours._R, ours._LRUCacheWrapper, ours._CacheItem = ours.R, dict, dict
ours._CacheParameters = ours.CacheParameters
ours.AlruCacheLoopResetWarning = type("AlruCacheLoopResetWarning", (UserWarning,), {})
sys.modules["async_lru"] = ours
"""


def test_async_lrus_own_tests_pass(tmp_path):
    options = ["-o", "asyncio_mode=auto", "--import-mode=importlib"]
    outcomes = run("async-lru", VERSION, SHIM, tmp_path, *options)
    assert not (wrong := differences(outcomes, PRIVATE | DEVIATIONS)), "\n\n".join(wrong)
    assert len(outcomes) >= 60
