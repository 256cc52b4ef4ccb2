"""``warmup: predictive``: a manager foresees over all its tiers, and knows at its start what it learnt."""

from perfcore import PerformanceManager


def configured(folder):
    layers = {"memory": {"max_size": "4MB", "strategy": "lru"}, "disk": {"directory": str(folder)}}
    return {"caching": {"layers": layers, "policies": {"warmup": "predictive"}}}


def test_what_was_asked_for_is_in_memory_at_the_next_start(tmp_path):
    with PerformanceManager(configured(tmp_path)) as manager:
        assert manager.status().parts["predictor"].state == "running"
        for number in range(50):
            manager.cache.set(f"key {number}", number)
        for number in [*range(50), *range(10)]:
            assert manager.predictor.get(f"key {number}") == number
        assert manager.predictor.stats().requests == 60
    assert (tmp_path / "prediction.model").exists()
    with PerformanceManager(configured(tmp_path)) as manager:
        assert all(f"key {number}" in manager.memory for number in range(50))
        assert manager.predictor.stats().requests == 60


def test_a_poisoned_model_does_not_keep_a_manager_from_starting(tmp_path):
    tmp_path.joinpath("prediction.model").write_bytes(b"\x80\x04N.")
    with PerformanceManager(configured(tmp_path)) as manager:
        assert manager.predictor.stats().requests == 0
        manager.cache.set("key", 1)
        assert manager.predictor.get("key") == 1
    assert tmp_path.joinpath("prediction.model.refused").read_bytes() == b"\x80\x04N."


def test_nothing_is_loaded_ahead_on_the_fast_path(tmp_path):
    with PerformanceManager(configured(tmp_path)) as manager:
        predictor = manager.predictor
        for number in list(range(2000)) * 6:
            predictor.record(number, hit=False)
        assert predictor.predict_future_access()
        with manager.fast_path.taken("test"):
            assert predictor.predict_future_access() == []
            assert predictor.preload_predicted_data() == 0
        assert predictor.predict_future_access()


def test_without_it_there_is_one_that_does_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PERFCORE_DISABLE", "prefetch")
    with PerformanceManager(configured(tmp_path)) as manager:
        assert manager.status().parts["predictor"].state == "off"
        assert not manager.predictor.enabled
        assert manager.predictor.get("key", "default") == "default"
        assert manager.predictor.preload_predicted_data() == 0
