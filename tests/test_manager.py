"""A manager builds what its configuration asks for, when it is asked for, and stops all of it."""

import logging
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from guide_examples import ADVANCED, BASIC

import perfcore
from perfcore import ConfigError, PerfcoreError, PerformanceManager, assembly
from perfcore import manager as manager_module
from perfcore.parts import Later

ROOT = Path(perfcore.__file__).parent.parent


@pytest.fixture(autouse=True)
def nothing_was_said_before():
    assembly._say_once.cache_clear()


def run(script, **environment):
    """Return what a fresh interpreter prints; its warnings and errors must be none."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


# --- the memory tier ----------------------------------------------------------------------------------------


def test_the_memory_tier_is_bounded_in_bytes():
    with PerformanceManager(caching={"max_memory": "1MB"}) as manager:
        for number in range(4000):
            manager.memory[number] = bytes(1024)
        assert manager.memory.weight <= 1 << 20
        assert 700 < len(manager.memory) < 1024
        manager.memory["heavy"] = [bytes(1024) + bytes([number % 256]) for number in range(2000)]
        assert "heavy" not in manager.memory


def test_the_memory_tier_evicts_as_the_strategy_says():
    for strategy in ("lru", "lfu", "random", "adaptive"):
        with PerformanceManager(caching={"strategy": strategy}) as manager:
            assert manager.memory.policy == strategy


def test_the_memory_tier_forgets_after_its_ttl():
    import time

    with PerformanceManager(caching={"layers": {"memory": {"ttl": 0.05}}}) as manager:
        manager.memory["a"] = 1
        assert manager.memory["a"] == 1
        time.sleep(0.1)
        assert "a" not in manager.memory


# --- life ---------------------------------------------------------------------------------------------------


def test_a_manager_starts_on_first_use_and_stops_at_the_end_of_its_context():
    manager = PerformanceManager()
    assert manager.status().state == "new"
    manager.memory["a"] = 1
    assert manager.status().state == "started"
    with manager as entered:
        assert entered is manager
        assert manager.memory["a"] == 1
    assert manager.status().state == "closed"


async def test_a_manager_is_an_asynchronous_context_too():
    async with PerformanceManager() as manager:
        manager.memory["a"] = 1
    assert manager.status().state == "closed"
    manager = PerformanceManager()
    assert await manager.initialize() is manager
    assert manager.status().state == "started"
    await manager.aclose()
    await manager.aclose()


def test_starting_and_closing_twice_is_fine_and_a_closed_manager_may_start_again():
    manager = PerformanceManager()
    manager.close()
    assert manager.start().start() is manager
    first = manager.memory
    assert manager.memory is first
    manager.close()
    manager.close()
    with pytest.raises(PerfcoreError, match=r"the manager is closed; start\(\) makes it usable again"):
        _ = manager.memory
    manager.start()
    assert manager.memory is not first


def test_a_bad_configuration_is_refused_before_anything_is_built():
    with pytest.raises(ConfigError, match=r"Expected `int \| str`, got `list` - at `\$.caching.max_memory`"):
        PerformanceManager(caching={"max_memory": []})


def test_a_manager_takes_keywords_a_dict_a_struct_and_a_file(tmp_path):
    path = tmp_path / "perfcore.toml"
    path.write_text('[caching]\nmax_memory = "3MB"\n')
    managers = [
        PerformanceManager(caching={"max_memory": "3MB"}),
        PerformanceManager({"caching": {"max_memory": "3MB"}}),
        PerformanceManager(path),
        PerformanceManager(str(path)),
    ]
    managers.append(PerformanceManager(managers[0].config))
    assert {manager.config.caching.layers.memory.max_size for manager in managers} == {3 << 20}
    assert (
        PerformanceManager(path, caching={"max_memory": "4MB"}).config.caching.layers.memory.max_size
        == 4 << 20
    )


def test_explain_tells_who_decided():
    explained = PerformanceManager(enable_caching=True, optimization_level="aggressive").explain()
    assert explained["caching.enabled"].origin == "enable_caching"
    assert explained["caching.layers.memory.max_size"].origin == "level aggressive"
    assert explained["caching.layers.memory.ttl"].origin == "default"


def test_a_forked_child_may_use_a_manager_whose_lock_another_thread_held():
    assert (
        run(
            """
            import os, threading, warnings
            warnings.simplefilter("ignore")  # 3.12 warns of exactly this
            from perfcore import PerformanceManager
            manager = PerformanceManager()
            manager.memory["a"] = 1
            held, done = threading.Event(), threading.Event()
            def hold():
                with manager._lock:
                    held.set()
                    done.wait()
            threading.Thread(target=hold).start()
            held.wait()
            child = os.fork()
            if child == 0:
                manager.disk.set("b", 2)  # builds, and so takes the lock
                manager.close()
                os._exit(manager.start().memory.get("a", 42))
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            done.set()
            print(manager.memory["a"])
            """
        )
        == "42\n1"
    )


# --- what is not used is not loaded -------------------------------------------------------------------------

BACKENDS = (
    "{'numpy', 'psutil', 'lmdb', 'zstandard', 'xxhash', 'tree_sitter', 'rich', 'typer', 'platformdirs'}"
)

#: what Cache is made of, and what has no room of its own
CACHE = {
    f"perfcore._native.{part}"
    for part in ("batches", "copying", "engine", "explaining", "iteration", "tags", "views")
}
SMALL = {"perfcore._native", "perfcore._native._shared", "perfcore.types"} | CACHE


@pytest.mark.parametrize(
    ("use", "rooms"),
    [
        ("", []),
        ("manager.status(); manager.explain(); repr(manager)", ["perfcore._native.build"]),
        ("manager.memory['a'] = 1", ["perfcore._native.cache", "perfcore.cache", "perfcore.sizing"]),
        ("manager.disk.get('a')", ["perfcore._native.cache", "perfcore.cache"]),  # it is off
    ],
)
def test_what_is_not_used_is_not_loaded(use, rooms):
    printed = run(
        f"""
        import sys
        from perfcore import PerformanceManager
        with PerformanceManager() as manager:
            before = set(sys.modules)
            {use}
        print(sorted(set(sys.modules) & {BACKENDS}))
        print(sorted(name for name in set(sys.modules) - before if name.startswith("perfcore")))
        """
    )
    backends, found = map(eval, printed.splitlines())
    assert backends == []
    assert [name for name in found if name not in SMALL] == rooms


def test_without_code_splitting_everything_that_is_on_is_built_at_the_start(tmp_path):
    layers = {"disk": {"directory": str(tmp_path / "cache")}}
    with PerformanceManager(
        optimization={"enable_code_splitting": False}, caching={"layers": layers}
    ) as manager:
        states = {name: part.state for name, part in manager.status().parts.items()}
        running = dict.fromkeys(["memory", "disk", "cache", "strategy", "parser", "fast_path"], "running")
        running |= dict.fromkeys(["cpu_optimizer", "io_optimizer", "memory_optimizer", "buffers"], "running")
        off = dict.fromkeys(
            [
                "distributed",
                "alerts",
                "monitor",
                "profiler",
                "workers",
                "precompilation",
                "predictor",
                "backend",
                "scaler",
                "autoscaler",
            ],
            "off",
        )
        assert states == running | off


def test_an_eager_cache_is_warm_at_the_start(tmp_path):
    caching = {"layers": {"disk": {"directory": str(tmp_path / "cache")}}, "policies": {"warmup": "eager"}}
    with PerformanceManager(caching=caching) as manager:
        manager.cache.set("a", 1)
    with PerformanceManager(caching=caching) as manager:
        assert manager.status().parts["cache"].state == "running"
        assert manager.memory.peek("a") == 1


# --- the cache ----------------------------------------------------------------------------------------------


def test_the_cache_is_over_the_managers_own_tiers(tmp_path):
    layers = {"disk": {"directory": str(tmp_path / "cache")}}
    with PerformanceManager(caching={"layers": layers}) as manager:
        manager.cache.set("a", 1, tags=["t"])
        manager.cache.set("b", 2)
        assert (manager.cache.get("a"), manager.memory["b"], manager.disk.get("b")) == (1, 2, 2)
        manager.cache.invalidate_tags("t")
        assert manager.cache.get_many("ab") == [None, 2]
    with PerformanceManager(caching={"layers": layers}) as manager:
        assert manager.cache.get_many("ab") == [None, 2]
        assert manager.cache.health()["disk"].ok
    with PerformanceManager(enable_caching=False) as manager:
        manager.cache.set("a", 1)
        assert manager.cache.get("a") is None


# --- the disk tier and the parser ---------------------------------------------------------------------------


def test_the_disk_tier_keeps_what_it_was_given(tmp_path):
    config = {"caching": {"layers": {"disk": {"directory": tmp_path / "cache", "max_size": "64MB"}}}}
    with PerformanceManager(config) as manager:
        manager.disk.set("a", {"b": (1, 2)})
        assert manager.disk.get("a") == {"b": (1, 2)}
        assert manager.status().tiers == ("memory", "disk")
    with PerformanceManager(config) as manager:
        assert manager.disk.get("a") == {"b": (1, 2)}


def test_a_disk_tier_that_cannot_be_opened_is_said_once_and_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("not a directory")
    layers = {"disk": {"directory": str(tmp_path / "file" / "cache")}}
    with (
        caplog.at_level(logging.WARNING, "perfcore"),
        PerformanceManager(caching={"layers": layers}) as manager,
    ):
        for _ in range(3):
            manager.disk.set("a", 1)
            assert manager.disk.get("a") in (1, None)  # what waits to be written may be read
        manager.memory["a"] = 1
        assert manager.memory["a"] == 1
    assert len(caplog.records) == 1


def test_the_parser_is_built_from_the_same_configuration(tmp_path):
    (tmp_path / "shop.py").write_text("class Cart:\n    def add(self): ...\n")
    config = {
        "parsing": {"cache_size": "8MB", "batch_size": 7},
        "caching": {"layers": {"disk": {"directory": str(tmp_path / "cache")}}},
    }
    for source in ("parsed", "disk"):
        with PerformanceManager(config) as manager:
            assert manager.parser.options.batch_size == 7
            result = manager.parser.parse_file(tmp_path / "shop.py")
            assert [symbol.qualified_name for symbol in result.symbols] == ["Cart", "Cart.add"]
            assert result.source == source
            assert manager.parser.parse_file(tmp_path / "shop.py").source == "memory"


def test_every_option_of_the_parser_is_a_setting_with_the_same_default():
    from perfcore.config.schema import Parsing
    from perfcore.parsing import ParserOptions

    settings = {name: getattr(Parsing(), name) for name in Parsing.__struct_fields__}
    options = {name: getattr(ParserOptions(), name) for name in ParserOptions.__struct_fields__}
    del options["cache_directory"], options["remote"]  # where the disk tier and the distributed one are
    assert settings == options


def test_a_parser_without_its_extra_names_it(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    assert run(
        f"""
        import sys
        sys.modules["tree_sitter"] = None  # what an import finds where it is not installed
        from perfcore import MissingExtraError, PerformanceManager
        with PerformanceManager() as manager:
            try:
                manager.parser.parse_file({str(tmp_path / "a.py")!r})
            except MissingExtraError as error:
                print(error)
        """
    ).endswith("is not installed: pip install 'perfcore[parse]'")


# --- off ----------------------------------------------------------------------------------------------------


def test_a_tier_that_is_off_stores_nothing_and_code_need_not_ask(monkeypatch):
    monkeypatch.setenv("PERFCORE_DISABLE", "cache")
    with PerformanceManager(caching={"persist_to_disk": True}) as manager:
        for tier in (manager.memory, manager.disk):
            tier.set("a", 1)
            assert tier.get("a") is None
        status = manager.status()
        assert (status.parts["memory"].state, status.parts["disk"].state, status.tiers) == ("off", "off", ())
        assert manager.explain()["caching.enabled"].origin == "PERFCORE_DISABLE"


def test_switching_the_disk_off_leaves_the_memory_on(monkeypatch, tmp_path):
    monkeypatch.setenv("PERFCORE_DISABLE", "disk")
    layers = {"disk": {"directory": str(tmp_path / "cache")}}
    with PerformanceManager(caching={"layers": layers}) as manager:
        manager.memory["a"] = 1
        manager.disk.set("a", 1)
        assert manager.memory["a"] == 1
        assert manager.status().tiers == ("memory",)
        manager.parser.parse_file(__file__)
    assert list(tmp_path.iterdir()) == []


# --- what this version does not have ------------------------------------------------------------------------


def test_what_is_configured_and_not_there_yet_is_said_plainly_and_logged_once(caplog, monkeypatch):
    later = Later(
        "dreaming", lambda c: c.caching.policies.warmup == "predictive", "caches fill as they are used"
    )
    monkeypatch.setattr(assembly, "LATER", (later,))
    with caplog.at_level(logging.WARNING, "perfcore"):
        for example in (BASIC, ADVANCED, ADVANCED):
            with PerformanceManager(example) as manager:
                status = manager.status()
    missing = {name: part.detail for name, part in status.parts.items() if part.state == "unavailable"}
    assert " ".join(sorted(missing)) == "dreaming"
    assert (
        missing["dreaming"]
        == f"not available in perfcore {perfcore.__version__}; caches fill as they are used"
    )
    assert len(caplog.records) == len({record.getMessage() for record in caplog.records}) == len(missing)


def test_the_examples_of_the_guide_ask_for_nothing_that_is_not_there(caplog):
    with caplog.at_level(logging.WARNING, "perfcore"):
        for example in (BASIC, ADVANCED):
            with PerformanceManager(example) as manager:
                assert "unavailable" not in {part.state for part in manager.status().parts.values()}
    assert not caplog.records


def test_the_default_configuration_asks_for_nothing_that_is_not_there(caplog):
    with caplog.at_level(logging.WARNING, "perfcore"), PerformanceManager() as manager:
        assert {part.state for part in manager.status().parts.values()} == {"idle", "off"}
    assert not caplog.records


def test_the_status_tells_versions_and_how_the_native_part_was_built():
    status = PerformanceManager().status()
    assert status.versions["perfcore"] == perfcore.__version__
    assert status.versions["msgspec"].count(".") == 2
    assert status.build["mode"] in {"release", "debug", "asan", "tsan", "trace"}


def test_the_status_shows_what_the_parts_count():
    with PerformanceManager() as manager:
        manager.memory["a"] = 1
        manager.memory.get("a")
        assert manager.status().parts["memory"].stats.hits == 1


def test_a_representation_shows_no_value():
    with PerformanceManager() as manager:
        manager.memory["user"] = "secret"
        assert repr(manager) == "<PerformanceManager: started, built: memory>"
        assert "secret" not in repr(manager.status())


# --- one for the process ------------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """No manager of this process yet, and none left behind."""
    monkeypatch.setattr(manager_module, "_shared", None)
    yield
    if manager_module._shared is not None:
        manager_module._shared.close()


@pytest.mark.usefixtures("alone")
def test_a_process_has_one_shared_manager_that_is_started():
    shared = PerformanceManager.shared(caching={"max_memory": "8MB"})
    assert shared.status().state == "started"
    assert PerformanceManager.shared() is shared is PerformanceManager.shared(caching={"max_memory": "8MB"})
    shared.close()
    assert PerformanceManager.shared() is shared
    assert shared.status().state == "started"


@pytest.mark.usefixtures("alone")
def test_another_configuration_for_the_shared_manager_is_refused_and_can_be_reloaded():
    shared = PerformanceManager.shared(caching={"max_memory": "8MB"})
    with pytest.raises(ConfigError, match="another configuration"):
        PerformanceManager.shared(caching={"max_memory": "4MB"})
    shared.reload(caching={"max_memory": "4MB"})
    assert PerformanceManager.shared(caching={"max_memory": "4MB"}) is shared


@pytest.mark.usefixtures("alone")
def test_threads_that_ask_at_once_share_one_manager():
    with ThreadPoolExecutor(8) as threads:
        found = [*threads.map(lambda _: PerformanceManager.shared(), range(32))]
    assert len({id(manager) for manager in found}) == 1


def test_the_shared_manager_is_closed_at_the_end_of_the_interpreter(tmp_path):
    caching = {"layers": {"disk": {"directory": str(tmp_path)}}}
    run(f"""
        from perfcore import PerformanceManager
        PerformanceManager.shared(caching={caching!r}).cache.set("a", 1)
        """)
    with PerformanceManager(caching=caching) as manager:
        assert manager.cache.get("a") == 1


# --- policies -----------------------------------------------------------------------------------------------


def test_with_invalidation_by_hand_the_ttl_of_tiers_ends_nothing(tmp_path):
    layers = {"memory": {"ttl": 0.01}, "disk": {"directory": str(tmp_path), "ttl": 0.01}}
    with PerformanceManager(caching={"layers": layers, "policies": {"invalidation": "manual"}}) as manager:
        manager.cache.set("a", 1)
        assert manager.memory.expires_in("a") is None and manager.disk.expires_in("a") is None
        manager.cache.set("b", 1, ttl=5)
        assert manager.memory.expires_in("b") is not None


@pytest.mark.parametrize(("policy", "seen"), [("dependency", "new"), ("ttl", "old")])
def test_with_invalidation_by_dependency_files_are_looked_at_on_each_hit(tmp_path, policy, seen):
    file = tmp_path / "file"
    file.write_text("old")
    with PerformanceManager(caching={"policies": {"invalidation": policy}}) as manager:

        def read():
            return manager.cache.get_or_set("a", file.read_text, depends_on=file)

        assert read() == "old"
        file.write_text("new")
        assert read() == seen


# --- adapting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "outcome"), [("aggressive", "applied"), ("balanced", "advised")])
def test_the_memory_tier_is_adapted_within_its_size_or_advice_is_given(level, outcome):
    with PerformanceManager(
        optimization_level=level, caching={"max_memory": "4MB", "strategy": "lru"}
    ) as manager:
        strategy = manager.strategy
        for turn in range(40_000):
            if manager.memory.get(turn % 50) is None:
                manager.memory.set(turn % 50, bytes(1000))
        (step,) = strategy.adapt_cache()
        assert (step.kind, step.outcome) == ("size", outcome)
        assert (manager.memory.capacity < 4 << 20) == (outcome == "applied")


def test_without_memory_there_is_nothing_to_adapt():
    with PerformanceManager(enable_caching=False) as manager:
        assert manager.strategy is None


def test_a_strategy_asks_the_predictor_for_what_will_be_wanted():
    caching = {"max_memory": "1MB", "policies": {"warmup": "predictive"}}
    with PerformanceManager(optimization_level="aggressive", caching=caching) as manager:
        predictor, strategy = manager.predictor, manager.strategy
        assert strategy.preload == predictor.preload_predicted_data
        for turn in range(20_000):
            if manager.memory.get(turn) is None:
                manager.memory.set(turn, bytes(1000))
        (step,) = strategy.adapt_cache()
        assert (step.kind, step.outcome) == ("preload", "applied")
