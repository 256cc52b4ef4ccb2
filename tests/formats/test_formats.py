"""What earlier releases have stored is read to the letter, and what later ones may store is never misread.

``tests/data/formats`` has the files that each release's ``write.py`` has written. They are never changed: a
line that fails here is a format that needs another number.
"""

import io
import shutil
import stat
from pathlib import Path

import lmdb
import msgspec
import pytest
import zstandard
from formats import contents, write
from xxhash import xxh3_64_digest

from perfcore import Cache, DiskCache, __version__
from perfcore.cache import CacheManager, codec
from perfcore.cache.codec import Codec
from perfcore.cache.disk.ledger import FORMAT
from perfcore.cache.disk.transfer import read_from
from perfcore.cache.keys import encode_key
from perfcore.cache.predictive import PredictiveCaching
from perfcore.errors import CodecError, ConfigError
from perfcore.metrics.jsonform import read_json
from perfcore.metrics.multiprocess import collect
from perfcore.parsing import optimize_for_performance
from perfcore.parsing.shared import content_key

HOME = Path(__file__).parent.parent / "data" / "formats"
RELEASES = sorted(path.name for path in HOME.iterdir() if path.is_dir())
PARTS = [part.__name__ for part in write.PARTS]


def of_each_release(part):
    """Run a test with the files of each release that has had the part."""
    return pytest.mark.parametrize("release", [name for name in RELEASES if (HOME / name / part).exists()])


@pytest.fixture(autouse=True)
def allowed():
    """Other tests' classes are not to be told apart from these by luck."""
    for kind in (contents.Colour, contents.Rights, contents.Node, contents.Pair, contents.Record):
        codec.allow(kind)


@pytest.fixture
def stored(tmp_path):
    """Gives a copy of what a release has stored of a part; nothing of ours is written to by tests."""

    def copy(release, part):
        target = tmp_path / part
        shutil.copytree(HOME / release / part, target)
        for path in (target, *target.rglob("*")):
            path.chmod(stat.S_IRWXU if path.is_dir() else stat.S_IRUSR | stat.S_IWUSR)  # as it was made
        return target

    return copy


def test_the_files_of_this_release_are_there_and_those_of_an_older_one():
    assert __version__ in RELEASES and len(RELEASES) >= 2
    assert {path.name for path in (HOME / __version__).iterdir()} == {*PARTS}


# --- what earlier releases have stored ------------------------------------------------------------


def check_values(cache):
    """All that ``write.disk`` has stored, with its type, and nothing that has ended."""
    for name, value in contents.VALUES.items():
        assert contents.same(cache.get(("value", name)), value), name
    for number, key in enumerate(contents.KEYS):
        assert cache.get(key) == number
    for key, value in contents.SIMILAR.items():
        assert cache.get(key) == value
    assert cache.get("for a century") == 1 and "for a moment" not in cache
    assert 50 * 365 * 86400 < cache.expires_in("for a century") < contents.CENTURY
    assert "deleted" not in cache and "invalidated" not in cache
    assert cache.get("tagged") == 1


@of_each_release("disk")
def test_a_directory_is_read_value_by_value_and_used_on(release, stored):
    home = stored(release, "disk")
    with DiskCache(home) as cache:
        check_values(cache)
        cache.invalidate_tags(("tag", 1))
        assert "tagged" not in cache
        cache["new"] = {"a": (1,)}
        assert cache.verify().removed == 0 and cache.problems() == []
    with DiskCache(home) as cache:
        assert cache["new"] == {"a": (1,)} and cache[("value", "str")] == "täxt"
    assert not (home / "data.mdb.damaged").exists()


@of_each_release("signed")
def test_signatures_and_pickles_are_as_trusted_as_they_were(release, stored):
    home = stored(release, "signed")
    with DiskCache(home, codec=Codec(secret=contents.SECRET, pickle=True)) as cache:
        assert cache.get("plain") == [1, 2] and cache.get("pickled") == slice(1, 2)
    with DiskCache(home) as cache:
        assert cache.get("plain") == [1, 2] and cache.get("pickled") is None and cache.get("without") == 1
    with DiskCache(home, codec=Codec(secret=contents.SECRET)) as cache:
        assert cache.get("without") is None  # anybody could have written it
    with DiskCache(home, codec=Codec(secret=b"another secret, not theirs")) as cache:
        assert cache.get("plain") is None


@of_each_release("export")
def test_an_exported_file_is_imported(release, stored, tmp_path):
    home = stored(release, "export")
    with DiskCache(tmp_path / "new") as cache:
        with (home / "all.export").open("rb") as file:
            assert read_from(cache._store, file, "adaptive").skipped == 0
        check_values(cache)


@of_each_release("restart")
def test_a_manager_has_in_memory_what_it_had_when_it_was_stopped(release, stored):
    home = stored(release, "restart")
    with CacheManager({"maxsize": 100, "policy": "lru"}, {"directory": home}) as manager:
        rows = [("row", number) for number in range(50)]
        order = list(manager._memory.coldest(100))
        assert len(order) == 52 and order[-1] == manager._near(("row", 7))
        before = manager.stats().tiers["disk"].hits
        assert manager.get_many(rows) == [{"number": number} for number in range(50)]
        assert manager.get("in memory only") == [1] and manager.get("for a moment") is None
        assert manager.get("for a century") == "yes" and manager.stats().tiers["disk"].hits == before
        manager.invalidate_tags("rows")
        assert manager.get_many(rows) == [None] * 50


@of_each_release("killed")
def test_a_manager_that_was_killed_has_its_hottest_keys_in_memory(release, stored):
    home = stored(release, "killed")
    with CacheManager({"maxsize": 100}, {"directory": home}) as manager:
        assert len(manager._memory) == 20
        assert manager.get_many([("row", number) for number in range(20)]) == [
            {"number": number} for number in range(20)
        ]


def check_counts(families):
    assert families["requests"].samples == {("/ä",): 6} and families["requests"].labels == ("path",)
    assert families["bytes"].samples == {(): 1.0} and families["bytes"].unit == "By"
    sizes = families["sizes"].samples[()]
    assert (sizes.count, sizes.zeros, sizes.under, sizes.over, sizes.negative, sizes.nan) == (
        12,
        2,
        2,
        2,
        2,
        2,
    )
    assert sizes.at_most(2) - sizes.at_most(1) == 2 and sizes.at_most(4) - sizes.at_most(2) == 4
    assert "depth" not in families.families  # gauges end with their process


@of_each_release("metrics")
def test_the_numbers_of_dead_processes_are_counted_and_folded_in(release, stored):
    home = stored(release, "metrics")
    for fold in (False, True, True):
        check_counts(collect(home, fold=fold))
    assert [path.name for path in home.glob("*.metrics")] == []


@of_each_release("snapshot")
def test_a_snapshot_in_json_is_read(release, stored):
    families = read_json((stored(release, "snapshot") / "snapshot.json").read_bytes())
    assert families["requests"].samples == {("/ä",): 3} and families["depth"].samples == {(): 2.5}


@of_each_release("model")
def test_a_predictor_knows_what_comes_next(release, stored):
    path = stored(release, "model") / "pages.model"
    cache = Cache(40, policy="lru")
    with PredictiveCaching(cache, loader=str, model=path, size=40) as predictive:
        assert predictive.stats().requests == len(contents.CIRCLE) * 12
        coming = []
        for key in contents.CIRCLE[:200]:
            predictive.record(key, hit=False)
            coming += [prediction.key for prediction in predictive.predict_future_access()]
        assert coming and {*coming} <= {*contents.CIRCLE[:300]}
        assert predictive.warm() == 20 and cache.keys() <= {*contents.CIRCLE}
    assert not path.with_name("pages.model.refused").exists()


@of_each_release("parsed")
def test_parsed_files_are_known_or_parsed_anew_and_right(release, stored, tmp_path):
    """A result is of its release: another one misses it, and what it finds is right and kept beside it."""
    home = stored(release, "parsed")
    file = tmp_path / "shop.py"
    file.write_text(contents.SOURCE)
    sources = []
    for _ in range(2):
        with optimize_for_performance({"cache_directory": home}) as parser:
            result = parser.parse_file(file)
            found = [(one.kind, one.qualified_name, one.start_line) for one in result.symbols]
            assert found == contents.SYMBOLS
            sources.append(result.source)
    assert sources[0] in {"parsed", "disk"} and sources[1] == "disk"
    assert not (home / "data.mdb.damaged").exists()


# --- what later releases may store ----------------------------------------------------------------


def rewrite(home, change):
    """Put lines into a stored file as a later release would: ``change(key, value)`` gives the new value."""
    with lmdb.open(str(home), map_size=1 << 24) as environment, environment.begin(write=True) as txn:
        lines = [(bytes(key), bytes(value)) for key, value in txn.cursor()]
        changed = [(key, new) for key, value in lines if (new := change(key, value)) != value]
        assert changed
        for key, value in changed:
            txn.put(key, value)


def test_a_directory_of_another_format_is_put_aside_whole(stored, caplog):
    home = stored(__version__, "disk")
    rewrite(home, lambda key, value: b"perfcore disk cache 2" if value == FORMAT else value)
    content = (home / "data.mdb").read_bytes()
    with DiskCache(home) as cache:
        assert len(cache) == 0 and cache.get(("value", "int")) is None
        cache["mine"] = 1
        assert cache["mine"] == 1
    assert (home / "data.mdb.damaged").read_bytes() == content
    assert "put aside" in caplog.text


#: one byte of an entry, as a later release may write it: its version, an unknown flag, an unknown kind
LATER = {"version": (2, 2), "flag": (4, 64), "kind": (3, 200)}


@pytest.mark.parametrize("what", LATER)
def test_an_entry_of_another_version_is_a_miss(what, stored):
    home, (at, byte) = stored(__version__, "disk"), LATER[what]
    name = encode_key(("value", "list"))

    def change(key, value):
        if not (key[:1] == b"\x02" and name in value):
            return value
        body = value[:at] + bytes([byte]) + value[at + 1 : -8]
        return body + xxh3_64_digest(body)  # a sound entry

    rewrite(home, change)
    with DiskCache(home) as cache:
        assert cache.get(("value", "list")) is None
        assert cache.get(("value", "tuple")) == contents.VALUES["tuple"]


def test_an_exported_file_of_another_version_is_refused_before_anything_is_stored(stored, tmp_path):
    plain = zstandard.ZstdDecompressor().stream_reader(
        (stored(__version__, "export") / "all.export").read_bytes()
    )
    later = zstandard.compress(
        plain.read().replace(b"perfcore cache export 1\n", b"perfcore cache export 2\n")
    )
    with DiskCache(tmp_path / "new") as cache:
        with pytest.raises(CodecError, match="not a file that perfcore has exported"):
            read_from(cache._store, io.BytesIO(later), "adaptive")
        assert len(cache) == 0


@pytest.mark.parametrize("part", ["restart", "killed"])
def test_what_a_later_manager_has_kept_of_its_memory_is_not_taken(part, stored):
    home = stored(__version__, part)
    with DiskCache(home) as cache:
        place = ("\x9dperfcore snapshot", -1 if part == "restart" else -2)
        form, *rest = cache[place]
        assert form == 1
        cache[place] = (2, *rest)
    with CacheManager({"maxsize": 100}, {"directory": home}) as manager:
        assert len(manager._memory) == 0
        assert manager.get(("row", 7)) == {"number": 7}  # which is the disk's


def test_numbers_of_another_version_are_left_alone(stored):
    home = stored(__version__, "metrics")
    (shard,) = home.glob("*.metrics")
    before = collect(home, fold=False)["requests"].samples[("/ä",)]
    shard.write_bytes(shard.read_bytes().replace(b"pcmetr1\0", b"pcmetr2\0", 1))
    for _ in range(2):
        after = collect(home)["requests"].samples[("/ä",)]
        assert (before, after) == (6, 3)  # what the archive has, and no more
    assert shard.exists()


@pytest.mark.parametrize("change", [{"version": 2}, {"series": None}, {"series": [1]}, {"files": 3}])
def test_an_archive_of_another_version_is_put_aside(change, stored, caplog):
    home = stored(__version__, "metrics")
    archive = home / "archive.folded"
    later = msgspec.msgpack.encode(msgspec.msgpack.decode(archive.read_bytes()) | change)
    archive.write_bytes(later)
    assert collect(home, fold=False)["requests"].samples[("/ä",)] == 3
    assert archive.read_bytes() == later  # who may only read changes nothing
    for _ in range(2):
        assert collect(home)["requests"].samples[("/ä",)] == 3
    assert (home / "archive.folded.refused").read_bytes() == later
    assert caplog.text.count("is put aside") == 1


def test_json_of_another_version_is_refused(stored):
    text = (stored(__version__, "snapshot") / "snapshot.json").read_bytes()
    with pytest.raises(ConfigError):
        read_json(text.replace(b"perfcore.metrics/1", b"perfcore.metrics/2"))


def test_what_a_later_predictor_has_learnt_is_put_aside(stored, caplog):
    path = stored(__version__, "model") / "pages.model"
    content = bytearray(path.read_bytes())
    content[9] = 2
    path.write_bytes(content)
    with PredictiveCaching(Cache(8), loader=str, model=path) as predictive:
        assert predictive.stats().requests == 0 and predictive.warm() == 0
        assert path.with_name("pages.model.refused").read_bytes() == content
    assert "not a file of this version" in caplog.text


def test_a_parsed_file_of_another_shape_is_parsed_anew(stored, tmp_path):
    home, file = stored(__version__, "parsed"), tmp_path / "shop.py"
    file.write_text(contents.SOURCE)
    with optimize_for_performance({"cache_directory": home}) as parser:
        fresh = parser.parse_file(file)
    key = content_key("python", fresh.content_hash)
    for later in (b"", b"\x91\x01", msgspec.msgpack.encode({"path": 1}), "no bytes"):
        with DiskCache(home) as cache:
            assert key in cache
            cache[key] = later
        with optimize_for_performance({"cache_directory": home}) as parser:
            result = parser.parse_file(file)
        assert result.source == "parsed" and result.symbols == fresh.symbols
