"""The look at an LMDB file before it is mapped: no false alarm.

That nothing gets by is shown by test_disk_faults.py, which goes on to use thousands of damaged files. Here
the other half: whatever LMDB itself writes is sound, and what is called unsound py-lmdb's own offline
verifier, which takes some hundred times as long, complains about too, but for one thing that it lets pass.
"""

import random
import struct

import lmdb
import pytest
from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st
from lmdb.verify import VerifyError, verify

from perfcore.cache.disk.structure import Unsound, check

KEYS = st.binary(min_size=1, max_size=3) | st.binary(min_size=200, max_size=400)
SIZES = st.sampled_from([0, 1, 100, 1500, 2030, 2050, 4080, 4081, 9000, 100_000])
CHANGES = st.lists(st.tuples(KEYS, st.none() | SIZES), max_size=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("structure")


def written(folder, transactions):
    """Return a new file that has seen these transactions, each a list of puts (size) and deletes (None)."""
    path = folder / "data.mdb"
    for file in folder.glob("*.mdb"):
        file.unlink()
    with lmdb.open(str(folder), map_size=1 << 26, sync=False, lib_version=0) as environment:
        for changes in transactions:
            with environment.begin(write=True) as txn:
                for key, size in changes:
                    if size is None:
                        txn.delete(key)
                    else:
                        txn.put(key, bytes(size))
    return path


@settings(deadline=None, max_examples=effort(60))
@given(st.lists(CHANGES, max_size=6))
def test_whatever_lmdb_writes_is_sound(folder, transactions):
    check(written(folder, transactions))


@pytest.mark.parametrize("smaller", [9000, 100])
def test_a_value_that_shrank_where_it_lay_is_sound_whatever_the_verifier_says(folder, smaller):
    """LMDB writes a shorter value over one of the same transaction, and lets it keep all of its pages.

    They are in its header and in the record of the tree, and freed with it: nothing is lost. The verifier
    counts the pages that the value needs and takes the rest for a leak; that is why sound files are not held
    against it. Over two transactions the value moves, and it has nothing to say.
    """
    path = written(folder, [[(b"a", 20_000), (b"a", smaller)]])
    check(path)
    assert any("leak" in str(complaint) for complaint in verify(str(path), subdir=False))
    with lmdb.open(str(folder), lib_version=0) as environment:
        with environment.begin(write=True) as txn:
            assert txn.stat()["overflow_pages"] == 5
            txn.delete(b"a")
        with environment.begin() as txn:
            assert txn.stat()["overflow_pages"] == 0
    assert list(verify(str(path), subdir=False)) == []
    path = written(folder, [[(b"a", 20_000)], [(b"a", smaller)]])
    check(path)
    assert list(verify(str(path), subdir=False)) == []


def busy(folder):
    """Return a file with branches, overflow pages and a long free list."""
    draw = random.Random(4)
    keys = [draw.randbytes(draw.choice([16, 400])) for _ in range(1200)]
    return written(
        folder,
        [
            [
                (key, None if draw.random() < 0.3 else draw.choice([20, 300, 3000, 20_000]))
                for key in draw.sample(keys, 250)
            ]
            for _ in range(12)
        ],
    )


def test_a_file_with_all_kinds_of_pages_is_sound(folder):
    path = busy(folder)
    check(path)
    with lmdb.open(str(folder), lib_version=0) as environment, environment.begin() as txn:
        stat = txn.stat()
    assert (stat["depth"], stat["overflow_pages"] > 100, stat["branch_pages"] > 1) == (3, True, True)


def mutated(draw, content):
    """Return ``content`` with some of the numbers changed that LMDB goes by, or pages lost or exchanged."""
    changed = bytearray(content)
    page = draw.randrange(len(content) // 4096) * 4096
    kind = draw.randrange(5)
    if kind == 0:
        for _ in range(3):
            changed[page + draw.randrange(160)] = draw.randrange(256)
    elif kind == 1:
        changed[page + 4096 - draw.randrange(1, 400)] ^= 1 << draw.randrange(8)
    elif kind == 2:
        changed[page : page + 4096] = bytes(4096)
    elif kind == 3:
        other = draw.randrange(len(content) // 4096) * 4096
        changed[page : page + 4096] = content[other : other + 4096]
    else:
        del changed[draw.randrange(len(content)) :]
    return changed


def gaps(content):
    """Return the pages whose free space does not end where their lowest node begins."""
    found = []
    for page in range(0, len(content) - 4095, 4096):
        kind, lower, upper = struct.unpack_from("<HHH", content, page + 10)
        if kind & 3 and 16 < lower <= upper <= 4096:  # a branch or a leaf
            pointers = struct.unpack_from(f"<{(lower - 16) // 2}H", content, page + 16)
            found += [page // 4096] * (min(pointers) != upper)
    return found


def test_a_page_with_a_gap_is_unsound_though_the_verifier_lets_it_pass(folder):
    path = written(folder, [[(b"a", 100), (b"b", 100)]])
    content = bytearray(path.read_bytes())
    leaf = next(page for page in range(0, len(content), 4096) if content[page + 10] == 2)
    assert gaps(content) == []
    struct.pack_into("<H", content, leaf + 14, struct.unpack_from("<H", content, leaf + 14)[0] - 138)
    path.write_bytes(content)
    assert gaps(content) == [leaf // 4096]
    with pytest.raises(Unsound, match="not filled"):
        check(path)
    assert list(verify(str(path), subdir=False)) == []


def test_what_is_called_unsound_is_damaged(folder, tmp_path):
    content, draw, unsound = busy(folder).read_bytes(), random.Random(9), 0
    path = tmp_path / "data.mdb"
    for _ in range(effort(150)):
        path.write_bytes(mutated(draw, content))
        try:
            check(path)
        except Unsound as finding:
            unsound += 1
            try:
                complaints = verify(str(path), subdir=False)
            except VerifyError as error:
                complaints = [error]
            complaints = complaints or gaps(path.read_bytes())
            assert complaints, f"{finding}, but nobody else thinks so"
    assert unsound > 40


@pytest.mark.parametrize(
    "content",
    [b"\0", bytes(1023), bytes(8192), b"\xff" * 8192, b"text " * 4000],
    ids=["byte", "short", "zeros", "ones", "text"],
)
def test_what_is_no_lmdb_file_is_unsound(tmp_path, content):
    path = tmp_path / "data.mdb"
    path.write_bytes(content)
    with pytest.raises(Unsound):
        check(path)


def test_an_empty_file_is_sound_and_a_missing_one_is_an_os_error(tmp_path):
    (tmp_path / "data.mdb").touch()
    check(tmp_path / "data.mdb")
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "missing")


def test_a_file_of_the_next_format_is_unsound(tmp_path):
    lmdb.open(str(tmp_path), lib_version=1).close()
    with pytest.raises(Unsound, match=r"page size|format 1"):
        check(tmp_path / "data.mdb")
