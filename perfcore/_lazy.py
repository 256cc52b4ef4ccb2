"""Lazy facades (PEP 562): a package that lists its public names and loads each module on first use.

``import perfcore`` must cost nothing to a service that uses one room of the house, so the packages'
``__init__`` files hold a table of names and nothing else. Type checkers read the same names from the
``if TYPE_CHECKING`` block beside the table; ``tests/test_layers.py`` keeps the two equal.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would cost more than the rest of ``import perfcore``
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def lazy(
    package: str, table: "Mapping[str, Sequence[str]]"
) -> "tuple[Callable[[str], Any], Callable[[], list[str]]]":
    """Return ``(__getattr__, __dir__)`` for a package whose names live in the modules of ``table``.

    ``table`` maps a module to the names it provides.
    """
    home = {name: module for module, names in table.items() for name in names}

    def __getattr__(name: str) -> "Any":  # noqa: N807
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        module = home[name]  # the package itself, when the name is that of a submodule
        try:
            if module == package:
                value = import_module(f"{package}.{name}")
            else:
                value = getattr(import_module(module), name)
        except ImportError as error:
            if not _is_not_built(error):
                raise
            raise _not_built(error) from None
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> "list[str]":  # noqa: N807
        return sorted({*vars(sys.modules[package]), *home})

    return __getattr__, __dir__


def _is_not_built(error: ImportError) -> bool:
    """Say whether it is the native part that is missing, and not something else that is wrong with it."""
    from pathlib import Path

    if not error.path:
        return False
    return error.path.startswith(sys.modules["perfcore"].__path__[0]) and not Path(error.path).exists()


def _not_built(error: ImportError) -> ImportError:
    """Say what to do in a source tree that Python found before what is installed, or that is not built."""
    folder = sys.modules["perfcore"].__path__[0]
    return ImportError(
        f"the native part is not built in {folder}. In a source tree, build it in place with "
        "`pip install -e .` or `make dev`; what is installed elsewhere is found from another directory.",
        name=error.name,
    )
