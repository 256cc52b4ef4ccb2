"""cachetools' own tests, from its source archive, run against perfcore.compat.cachetools."""

from conformance.suites import differences, run

VERSION = "8.0.1"

# Every deviation, with its reason.
DEVIATIONS = {
    "test_decorated_override": "what is counted is kept beside instances, and not in their __dict__",
    "test_decorator_immutable_dict": "the same, so no __dict__ is needed",
    "test_decorator_slots": "the same; what is needed is __weakref__",
    "test_decorator_deepcopy_super": "bound methods are made anew, as those of functions are, and not kept",
    "test_decorator_pickle_super": "the same",
    "test_class_access_alias": "the same",
    "test_decorator_no_set_name": "a method that was put into a class later works",
    "test_ttl_copy": "of entries that end together, any may come first when iterating",
    "test_outer_decorator": "a method under another decorator works",
}

SHIM = """
import sys
import perfcore.compat.cachetools as ours
sys.modules["cachetools"] = ours
for name in ("keys", "func"):
    sys.modules[f"cachetools.{name}"] = getattr(ours, name)
"""


def test_cachetools_own_tests_pass(tmp_path):
    outcomes = run("cachetools", VERSION, SHIM, tmp_path, "--import-mode=prepend")
    assert not (wrong := differences(outcomes, DEVIATIONS)), "\n\n".join(wrong)
    assert len(outcomes) >= 300
