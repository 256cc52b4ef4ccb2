"""The site builds without a warning, needs nothing from elsewhere, and has every public name once."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import perfcore

ROOT = Path(__file__).parent.parent.parent
#: the rooms whose ``__all__`` is for users
ROOMS = [
    "perfcore",
    "perfcore.cache",
    "perfcore.cache.adaptive",
    "perfcore.cache.codec",
    "perfcore.cache.disk",
    "perfcore.cache.predictive",
    "perfcore.cache.remote",
    "perfcore.compat.async_lru",
    "perfcore.compat.cachetools",
    "perfcore.compat.functools",
    "perfcore.config",
    "perfcore.integrations",
    "perfcore.integrations.django",
    "perfcore.integrations.otel",
    "perfcore.integrations.starlette",
    "perfcore.io",
    "perfcore.memory",
    "perfcore.metrics",
    "perfcore.monitor",
    "perfcore.monitor.serve",
    "perfcore.optimizing",
    "perfcore.parsing",
    "perfcore.scaling",
    "perfcore.simulation",
    "perfcore.testing",
    "perfcore.types",
    "perfcore.workers",
]
MODULES = type(perfcore)


def sphinx(*arguments):
    """Build as `make docs` does, with the package that is installed."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", *arguments]
    return subprocess.run(command, cwd=arguments[-1].parent, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = sphinx(ROOT / "docs", folder)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return folder


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{py:class}`perfcore.cache.NoSuchCache`", "NoSuchCache"),
        ("[a page](nowhere.md)", "nowhere.md"),
        ("```{eval-rst}\n.. autofunction:: perfcore.nothing\n```", "failed to import 'nothing'"),
    ],
)
def test_what_does_not_exist_is_noticed(tmp_path, text, complaint):
    (tmp_path / "index.md").write_text(f"# A page\n\n{text}\n")
    done = sphinx("-c", ROOT / "docs", tmp_path, tmp_path / "out")
    assert done.returncode != 0 and complaint in done.stderr


class Page(HTMLParser):
    """What a page refers to: links for readers, and what a browser loads by itself; and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loads.append(given["href"])
        self.loads += [given[name] for name in ("src", "srcset", "data") if given.get(name)]


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_within_the_site_leads_somewhere(site, pages):
    assert len(pages) > 40
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if not parts.scheme:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                assert target.exists(), f"{path.name}: {link}"
                if parts.fragment and target in pages:
                    assert unquote(parts.fragment) in pages[target].anchors | {""}, f"{path.name}: {link}"


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        for address in page.loads:
            assert address.startswith("data:") or not urlsplit(address).netloc, f"{path.name} loads {address}"
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", styles)


def thing(name):
    module, _, short = name.rpartition(".")
    return getattr(importlib.import_module(module), short)


def test_every_public_name_is_in_the_reference_once(site):
    places = {}
    for page in (site / "reference").glob("*.html"):
        for name in re.findall(r'<dt class="sig sig-object py" id="([\w.]+)"', page.read_text()):
            places.setdefault(name, []).append(page.name)
    assert all(len(found) == 1 for found in places.values())
    by_identity = {}
    for name in places:
        if is_top_level(name):
            by_identity.setdefault(id(thing(name)), []).append(name)
    assert not [names for names in by_identity.values() if len(names) > 1]
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, MODULES):  # a room of its own
                assert f"{room}.{name}" in places or id(value) in by_identity, f"{room}.{name}"


def is_top_level(name):
    """Say whether a name is that of a module's member, and not that of a class's."""
    module = name.rpartition(".")[0]
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def test_no_room_is_forgotten():
    folder = Path(perfcore.__file__).parent
    rooms = {
        ".".join(path.parent.relative_to(folder.parent).parts)
        for path in folder.rglob("__init__.py")
        if "__all__" in path.read_text()
    }
    inner = re.compile(r".*\._.*|.*\.grammars|perfcore\.cli|perfcore\.cache\.functions|.*\.cachetools\..*")
    rooms = {name for name in rooms if not inner.fullmatch(name)}
    assert rooms <= set(ROOMS), rooms - set(ROOMS)


def test_signatures_of_native_classes_are_those_of_the_stubs(site):
    text = (site / "reference" / "cache.html").read_text()
    (signature,) = re.findall(r'id="perfcore\.cache\.Cache\.get_or_set">(.*?)</dt>', text, re.DOTALL)
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", signature))
    assert "factory" in shown and "ttl" in shown and "tags" in shown
    get = re.search(r'id="perfcore\.cache\.Cache\.get">.*?<dd>', text, re.DOTALL)[0]
    assert get.count("<dt") == 2  # with the first of them, three overloads
