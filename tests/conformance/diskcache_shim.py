"""A pytest plugin: for this process, ``diskcache`` is diskcache's own recipes and Index over our cache.

PERFCORE_DISKCACHE names the folder of the unpacked source archive, PERFCORE_PASS_OVER tests not to be run.
"""

import importlib.util
import os
import sys
import types
from pathlib import Path

SOURCE = Path(os.environ["PERFCORE_DISKCACHE"]) / "diskcache"


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


package = sys.modules["diskcache"] = types.ModuleType("diskcache")
package.__path__ = [str(SOURCE)]
for part in (
    _load("diskcache.core", Path(__file__).with_name("diskcache_core.py")),
    _load("diskcache.recipes", SOURCE / "recipes.py"),
    _load("diskcache.persistent", SOURCE / "persistent.py"),
):
    package.__dict__.update({name: value for name, value in vars(part).items() if name[:1] != "_"})
package.core = sys.modules["diskcache.core"]


def pytest_collection_modifyitems(items):
    passed_over = os.environ.get("PERFCORE_PASS_OVER", "").split()
    items[:] = [item for item in items if item.name not in passed_over]
