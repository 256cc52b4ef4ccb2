"""Key functions, beyond what cachetools' own tests say of them."""

import copy
import pickle
import subprocess
import sys

from perfcore.keys import HashedKey, hashkey, methodkey, typedkey, typedmethodkey


class Counted:
    hashed = 0

    def __hash__(self):
        Counted.hashed += 1
        return 7


def test_a_key_hashes_its_arguments_once():
    key = hashkey(Counted())
    hash(key), hash(key), {key: 1}[key]
    assert Counted.hashed == 1


def test_keywords_count_by_name_and_not_by_place():
    assert hashkey(b=1, a=2) == hashkey(a=2, b=1) != hashkey("a", 2, "b", 1)
    assert typedkey(b=1, a=2.0) == typedkey(a=2.0, b=1) != typedkey(a=2, b=1)


def test_method_keys_leave_the_instance_out_and_need_no_hash_of_it():
    assert methodkey([], 1) == hashkey(1)
    assert typedmethodkey([], 1) == typedkey(1) != typedkey(1.0)


def test_a_key_goes_to_another_process_and_is_the_same_there():
    key = hashkey("text", q="more")
    assert pickle.loads(pickle.dumps(key)) == copy.deepcopy(key) == key
    script = (
        "import pickle, sys; from perfcore.keys import hashkey\n"
        "key = pickle.load(sys.stdin.buffer)\n"
        "assert key == hashkey('text', q='more') and hash(key) == hash(hashkey('text', q='more'))"
    )
    subprocess.run([sys.executable, "-c", script], input=pickle.dumps(key), check=True)


def test_sums_are_keys():
    pair = (2,)
    assert type(hashkey(1) + pair) is type(pair + hashkey(1)) is HashedKey
