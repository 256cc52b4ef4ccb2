"""The native rooms: the only place where the C core meets Python objects.

All of them are in one file, which saves the copies of what they have in common; Python looks for a module in
a file of its own name, and so is told here where they are (as PEP 489 describes it).
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec

#: what can be imported from here
ROOMS = (
    "_shared",
    "batches",
    "buffers",
    "build",
    "cache",
    "census",
    "copying",
    "curve",
    "depot",
    "engine",
    "envelope",
    "events",
    "explaining",
    "files",
    "histogram",
    "iteration",
    "keys",
    "labels",
    "memo",
    "meters",
    "methods",
    "metrics",
    "objects",
    "plain",
    "predict",
    "ready",
    "ring",
    "simulate",
    "stopwatch",
    "tags",
    "tier",
    "timer",
    "unpack",
    "watching",
)
_PLACES = {f"{__name__}.{room}": f"{__path__[0]}/_rooms{EXTENSION_SUFFIXES[0]}" for room in ROOMS}


class _Rooms:
    """Finds the native rooms, each of which the one file can initialise by its name."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        place = _PLACES.get(name)
        if place is None:
            return None
        spec = ModuleSpec(name, ExtensionFileLoader(name, place), origin=place)
        spec.has_location = True
        return spec


sys.meta_path.append(_Rooms)
