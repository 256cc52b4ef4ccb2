"""``Predictor``: what follows what is learnt from the order of requests, and believed if it came true."""

import gc
import random
import sys
import threading
import weakref

import pytest
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from perfcore._native.predict import Foreseen, Predictor
from perfcore.cache import Cache


def loop(predictor, keys, rounds, *, hit=False, context=None):
    for _ in range(rounds):
        for key in keys:
            predictor.record(key, context, hit)


def foreseen_in_a_loop(predictor, keys):
    """Go on with a loop until something is predicted."""
    for key in keys * 3:
        predictor.record(key, None, False)
        if found := predictor.predictions():
            return key, found
    raise AssertionError("nothing was predicted")


def test_what_followed_before_is_expected_again_as_far_ahead_as_loads_take():
    predictor, keys = Predictor(100, _seed=bytes(16)), [f"key {i}" for i in range(1000)]
    loop(predictor, keys, 5)
    key, found = foreseen_in_a_loop(predictor, keys)
    ahead = [(keys.index(guess.key) - keys.index(key)) % 1000 for guess in found]
    assert all(40 <= steps <= 160 for steps in ahead)
    assert all(guess.confidence > 0.9 for guess in found)
    assert [guess.confidence for guess in found] == sorted((g.confidence for g in found), reverse=True)


def test_what_comes_by_chance_is_not_predicted():
    predictor, chance = Predictor(100, _seed=bytes(16)), random.Random(3)
    predicted = 0
    for _ in range(40_000):
        predictor.record(chance.randrange(1000), None, False)
        predicted += len(predictor.predictions())
    assert predicted < 400


def test_what_the_cache_will_still_hold_is_not_predicted():
    predictor, keys = Predictor(100), list(range(90))
    loop(predictor, keys, 300, hit=True)
    assert predictor.predictions() == []


def test_the_cache_is_asked_where_nobody_says():
    cache = Cache(100, policy="lru")
    predictor = Predictor(100, cache=cache)
    for _ in range(3):
        for key in range(50):
            predictor.record(key)
            cache[key] = key
    assert predictor.stats()["stay"] <= 100  # a hit after less than it stays says nothing
    unknown = Predictor(100)
    loop(unknown, range(1000), 20, hit=None)
    assert unknown.predictions()


def test_a_load_is_begun_once_and_measured():
    predictor, keys = Predictor(400, _seed=bytes(16)), list(range(4000))
    loop(predictor, keys, 4)
    key, (guess, *_) = foreseen_in_a_loop(predictor, keys)
    assert predictor.begin(guess)
    assert not predictor.begin(guess)
    assert guess.key not in [other.key for other in predictor.predictions(64)]
    for following in range(key + 1, key + 6):
        predictor.record(following, None, False)
    assert predictor.arrive(guess) == ()
    assert predictor.stats()["lead"] == 5
    predictor.record(guess.key, None, True)
    stats = predictor.stats()
    assert (stats["issued"], stats["arrived"], stats["used"], stats["held"]) == (1, 1, 1, 0)


def test_what_was_asked_for_before_it_arrived_is_late():
    predictor, keys = Predictor(400, _seed=bytes(16)), list(range(4000))
    loop(predictor, keys, 4)
    _, (guess, *_) = foreseen_in_a_loop(predictor, keys)
    predictor.begin(guess)
    predictor.record(guess.key, None, False)
    predictor.arrive(guess)
    stats = predictor.stats()
    assert (stats["late"], stats["used"], stats["held"]) == (1, 0, 0)


@pytest.mark.parametrize("end", ["arrive", "fail"])
def test_a_load_that_is_late_leaves_a_later_one_of_its_key_under_way(end):
    predictor, keys = Predictor(40, _seed=bytes(16)), list(range(400))
    loop(predictor, keys, 40)
    _, (late, *_) = foreseen_in_a_loop(predictor, keys)
    assert predictor.begin(late)
    loop(predictor, [late.key], 1)
    for key in (keys * 2)[late.key + 1 :]:
        predictor.record(key, None, False)
        if again := [guess for guess in predictor.predictions(64) if guess.key == late.key]:
            break
    assert predictor.begin(*again)
    getattr(predictor, end)(late)
    assert late.key not in [guess.key for guess in predictor.predictions(64)]
    assert (predictor.stats()["late"], predictor.stats()["held"]) == (end == "arrive", 0)
    assert predictor.arrive(*again) == ()
    assert (predictor.stats()["late"], predictor.stats()["held"]) == (end == "arrive", 1)


def test_a_quarter_of_the_cache_at_most_waits_for_its_first_use():
    predictor, keys = Predictor(40, _seed=bytes(16)), list(range(400))
    loop(predictor, keys, 40)
    held, left = set(), []
    for key in keys * 3:
        predictor.record(key, None, key in held)
        held.discard(key)
        for guess in predictor.predictions(64):
            if predictor.begin(guess):
                left += predictor.arrive(guess)
                held.add(guess.key)
                held.difference_update(left)
        assert predictor.stats()["held"] <= 10
        assert len(held) <= 10
        predictor._check()


def test_contexts_have_histories_of_their_own():
    def predicted(contexts):
        predictor, chance, at = Predictor(300, contexts=contexts, _seed=bytes(16)), random.Random(1), [0] * 8
        found = 0
        for _ in range(60_000):
            client = chance.randrange(8)
            predictor.record((client, at[client] % 400), f"user {client}", False)
            at[client] += 1
            found += bool(predictor.predictions(1))
        return found

    assert predicted(64) > 2 * predicted(1)


def test_memory_is_bounded_and_known():
    predictor = Predictor(1000, remember=5000)
    size = sys.getsizeof(predictor)
    loop(predictor, range(50_000), 1)
    assert sys.getsizeof(predictor) == size
    assert size < 1200 * 1024
    assert predictor.stats()["keys"] == 5000


def test_forgotten_keys_are_released():
    class Key:
        pass

    predictor = Predictor(10, remember=64)
    first = Key()
    alive = weakref.ref(first)
    predictor.record(first)
    del first
    assert alive() is not None
    loop(predictor, range(500), 1)
    assert alive() is None


def test_recent_keys_are_those_of_the_latest_visits():
    predictor = Predictor(100)
    loop(predictor, range(3000), 1)
    recent = predictor.recent(640)
    assert recent == list(range(3000 - len(recent), 3000))
    assert 570 <= len(recent) <= 640
    assert predictor.recent(0) == []


def test_what_was_learnt_can_be_taken_over():
    keys = list(range(1000))
    teacher, pupil = Predictor(100, _seed=bytes(16)), Predictor(100, _seed=bytes(16))
    loop(teacher, keys, 10)
    pupil.relearn(teacher.learnt())
    assert pupil.learnt() == teacher.learnt()
    loop(pupil, keys, 1)
    loop(pupil, keys[:200], 1)
    assert pupil.predictions()  # in the first repetition


@pytest.mark.parametrize("damage", ["short", "nan", "huge", "negative"])
def test_what_no_predictor_can_have_learnt_is_refused(damage):
    learnt = bytearray(Predictor(100).learnt())
    if damage == "short":
        del learnt[-1]
    else:
        learnt[:4] = {"nan": b"\0\0\xc0\x7f", "huge": b"\0\0\x80\x7e", "negative": b"\0\0\x80\xfe"}[damage]
    with pytest.raises(ValueError, match=r"expected|learnt"):
        Predictor(100).relearn(bytes(learnt))


@pytest.mark.parametrize(
    "options", [{"size": -1}, {"remember": 5}, {"contexts": 0}, {"threshold": 0}, {"threshold": float("nan")}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="must"):
        Predictor(**{"size": 100} | options)


# --- hostile keys --------------------------------------------------------------------------------------


def test_keys_are_never_compared():
    class Key:
        def __init__(self, number):
            self.number = number

        def __hash__(self):
            return hash(self.number)

        def __eq__(self, other):
            raise AssertionError("compared")

    predictor = Predictor(100)
    loop(predictor, [Key(i) for i in range(1000)], 5)
    predictor._check()


def test_keys_of_one_hash_share_a_row():
    class Key:
        def __hash__(self):
            return 7

    predictor = Predictor(100)
    loop(predictor, [Key() for _ in range(1000)], 2)
    assert predictor.stats()["keys"] == 1
    predictor._check()


def test_what_cannot_be_hashed_changes_nothing():
    class Key:
        def __hash__(self):
            raise ZeroDivisionError

    predictor = Predictor(100)
    for key, context in ((Key(), None), (1, Key()), ([], None), (1, [])):
        with pytest.raises((ZeroDivisionError, TypeError)):
            predictor.record(key, context)
    assert predictor.stats()["visits"] == 0


def test_a_hash_and_a_finalizer_may_use_the_predictor():
    predictor = Predictor(10, remember=64)

    class Key:
        def __init__(self, number):
            self.number = number

        def __hash__(self):
            predictor.record("nested", None, False)
            predictor.predictions()
            return hash(self.number)

        def __del__(self):
            predictor.record(("gone", self.number % 100), None, False)
            predictor.recent(100)

    for i in range(2000):
        predictor.record(Key(i), None, False)
    predictor._check()


def test_cycles_through_keys_are_collected():
    class Key:
        def __del__(self):
            self.predictor.record(self, None, True)  # also when the collector has been at it
            self.predictor.predictions()
            self.predictor.recent(10)

    predictor = Predictor(10, remember=64)
    key = Key()
    key.predictor = predictor
    predictor.record(key)
    alive = weakref.ref(predictor)
    del key, predictor
    gc.collect()
    gc.collect()
    assert alive() is None


def test_threads_may_record_and_ask_at_once():
    predictor = Predictor(100, remember=500)
    failures = []

    def work(seed):
        chance = random.Random(seed)
        try:
            for i in range(effort(3000)):
                predictor.record((i if seed % 2 else chance.randrange(800)) % 700, seed, bool(i % 2))
                for guess in predictor.predictions(3):
                    if predictor.begin(guess):
                        predictor.arrive(guess) if i % 3 else predictor.fail(guess)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    predictor._check()
    assert failures == []


# --- against a model -----------------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """The life of predictions against a model of it: which keys load, which are held, what was counted."""

    def __init__(self):
        super().__init__()
        self.predictor = Predictor(40, remember=400, _seed=bytes(16))
        loop(self.predictor, range(200), 60)
        self.predictor.relearn(self.predictor.learnt())
        self.at, self.loading, self.held, self.order = 0, {}, {}, []
        self.counts = dict.fromkeys(("issued", "arrived", "used", "late", "wasted", "failed"), 0)

    @rule(steps=st.integers(1, 60), hit=st.booleans())
    def go_on(self, steps, hit):
        for _ in range(steps):
            self.visit(self.at % 200, hit)
            self.at += 1

    @rule(key=st.integers(0, 250), hit=st.booleans())
    def jump(self, key, hit):
        self.visit(key, hit)

    def visit(self, key, hit):
        self.expire()
        self.predictor.record(key, None, hit)
        if key in self.held:
            del self.held[key]
            self.counts["used" if hit else "wasted"] += 1
        for load in [load for load, wanted in self.loading.items() if wanted == key]:
            self.loading[load] = None  # late

    def expire(self):
        """What is held for longer than twice the horizon is written off: the oldest, one a visit."""
        stats = self.predictor.stats()
        if self.held:
            oldest = min(self.held, key=self.held.__getitem__)
            if stats["visits"] + 1 - self.held[oldest] > 2 * min(max(stats["stay"], 40), 8192):
                del self.held[oldest]
                self.counts["wasted"] += 1

    @rule()
    def begin(self):
        for guess in self.predictor.predictions(5):
            assert guess.key not in self.held
            assert guess.key not in self.loading.values()
            assert self.predictor.begin(guess)
            assert not self.predictor.begin(guess)
            self.loading[guess] = guess.key
            self.counts["issued"] += 1

    @precondition(lambda self: self.loading)
    @rule(data=st.data(), arrives=st.booleans())
    def end(self, data, arrives):
        guess = data.draw(st.sampled_from(list(self.loading)))
        wanted = self.loading.pop(guess)
        if not arrives:
            self.predictor.fail(guess)
            self.counts["failed"] += 1
            return
        left = self.predictor.arrive(guess)
        self.counts["arrived"] += 1
        if wanted is None:
            assert left == ()
            self.counts["late"] += 1
            return
        if len(self.held) == 10:
            oldest = min(self.held, key=self.held.__getitem__)
            assert left == (oldest,)
            del self.held[oldest]
            self.counts["wasted"] += 1
        else:
            assert left == ()
        self.held[guess.key] = self.predictor.stats()["visits"] + len(self.order) * 1e-6
        self.order.append(guess.key)

    @invariant()
    def agree(self):
        stats = self.predictor.stats()
        assert {name: stats[name] for name in self.counts} == self.counts
        assert stats["held"] == len(self.held)
        self.predictor._check()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=effort(15), stateful_step_count=40, deadline=None)


def test_foreseen_is_of_its_predictor():
    with pytest.raises(TypeError):
        Predictor(10).begin(None)
    assert not Predictor(10).begin(Foreseen())
    assert Predictor(10).arrive(Foreseen()) == ()
