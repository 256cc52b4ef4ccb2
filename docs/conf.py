"""How these pages become a site: ``make docs`` builds it in ``build/docs``, and a warning is an error."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

from perfcore import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "perfcore"
author = "the perfcore authors"
copyright = "the perfcore authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "stubs", "names"]
exclude_patterns = ["_ext"]
nitpicky = True
nitpick_ignore = [("py:class", "Keyed")]  # a protocol of the stubs alone: anything with keys() and []

# The pages are read where the sources are kept as well, so they are plain Markdown but for the reference.
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
#: bases whose own members are documented elsewhere
FOREIGN = [
    "MutableMapping",
    "Mapping",
    "tuple",
    "Struct",
    "Executor",
    "Future",
    "RawIOBase",
    "MetricExporter",
]
FOREIGN += ["BaseCache", "BaseException"]
autodoc_default_options = {"members": True, "inherited-members": ",".join(FOREIGN)}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Nothing comes from elsewhere: furo brings its script and style along, fonts are the reader's.
html_theme = "furo"
html_title = f"perfcore {release}"
html_static_path = ["_static"]
html_css_files = ["perfcore.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "tango"
pygments_dark_style = "github-dark"


def setup(app: Sphinx) -> None:
    """Say what is left out."""
    app.connect("autodoc-skip-member", is_field)
    app.connect("source-read", without_blank_ends)


def is_field(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Say whether a member is a field of a named tuple, whose text is in the signature."""
    return str(thing.__doc__).startswith("Alias for field number") or None


def without_blank_ends(app: Sphinx, name: str, source: list[str]) -> None:
    """Take out the blank line by which examples end for who runs them."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")
