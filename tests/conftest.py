"""Two virtual devices so that `pmap` is real, no silent broadcasting; warnings are errors (pyproject.toml)."""

import collections
import gc
import os
from pathlib import Path

import pytest

from jaxvae.commands.parts.kept_programs import keep_programs

# Before jax starts: the flag is read once. Tests only; the library never touches XLA_FLAGS.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=2",
        # Loops by XLA's older generator: programs a tenth slower, compiled in two thirds of the time, and compiling is
        # most of what tests do. Those of digits compile as users do (`oracles.user_jit`), and so does CI's main job.
        "--xla_cpu_use_fusion_emitters=false",
    ]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")


# Many tests, their workers and their child processes compile the same small programs, and so does the next session:
# programs are kept in JAX_COMPILATION_CACHE_DIR, or in .cache/ of this checkout.
if "PYTEST_XDIST_WORKER" not in os.environ:
    keep_programs(os.environ, Path(__file__).parents[1] / ".cache")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
gc.set_threshold(200_000, 20, 20)  # tracing makes many small objects that do not die young

# A worker and its child processes keep to one core where each can have one: two workers of two threads each spend a
# fifth of their time waiting for each other. XLA asks for the cores when it is first used, which is later.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if _WORKER and hasattr(os, "sched_setaffinity"):
    _CORES = sorted(os.sched_getaffinity(0))
    if int(os.environ["PYTEST_XDIST_WORKER_COUNT"]) >= len(_CORES):
        os.sched_setaffinity(0, {_CORES[int(_WORKER.removeprefix("gw")) % len(_CORES)]})


SHORT_NOTEBOOKS = ("02", "03")  # the others take half a minute and more each: the long tier


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Spreads notebooks and the rows of tables over the tiers.

    `@pytest.mark.rows(full=["a"], slow=["b"])` names rows of the other tiers by their ids; `quick=["a"]` names those
    that stay, and all others are slow. Of a table of many of one kind `every=3` keeps each third row, the others are
    slow; `every_slow=3` keeps each third of the slow rows, the others are full. An id that is no row is an error, where
    whole files were asked for.
    """
    named, found, seen = set(), set(), collections.Counter()
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("slow" if item.path.stem[:2] in SHORT_NOTEBOOKS else "full")
        table, every_slow = item.nodeid.partition("[")[0], 1
        for mark in item.iter_markers("rows"):
            row, tiers = item.callspec.id, dict(mark.kwargs)
            found.add((table, row))
            every, every_slow = tiers.pop("every", 1), tiers.pop("every_slow", every_slow)
            if seen[table, every] % every:
                item.add_marker("slow")
            seen[table, every] += 1
            named |= {(table, name) for names in tiers.values() for name in names}
            for tier in ("slow", "full"):
                if row in tiers.get(tier, ()):
                    item.add_marker(tier)
            if row not in tiers.get("quick", [row]):
                item.add_marker("slow")
        if every_slow > 1 and item.get_closest_marker("slow") and not item.get_closest_marker("full"):
            if seen[table, "slow"] % every_slow:
                item.add_marker("full")
            seen[table, "slow"] += 1
        if item.get_closest_marker("full"):  # what is of the long tier is of no other
            item.own_markers = [mark for mark in item.own_markers if mark.name != "slow"]
    if (unknown := sorted(named - found)) and not any("::" in word for word in config.args):
        raise pytest.UsageError(f"marked as rows of a table, and no such rows: {unknown}")


@pytest.fixture(autouse=True, scope="module")
def _programs(request):
    """Each file starts with empty caches: thousands of live programs slow every trace and fill the memory.

    Files marked `quick_compile` ask how things behave, not how many digits they keep: compiling their programs without
    XLA's optimiser takes a third of the time off.
    """
    quick = request.node.get_closest_marker("quick_compile") is not None
    jax.config.update("jax_disable_most_optimizations", quick)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    gc.collect()
