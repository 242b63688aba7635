"""What is saved comes back to the bit, or saving says why not."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.training.checkpoints.checkpoint import restore, save, steps
from jaxvae.training.checkpoints.folders import lock_folder
from jaxvae.training.checkpoints.weights import load_weights, save_weights


class TrainState(NamedTuple):
    step: Any
    params: Any
    opt_state: Any
    key: Any
    ema: Any


def make_state(step=3, width=5, dtype=jnp.float32, optimizer=None, ema=False):
    params = {
        "encoder": {"Dense_0": {"kernel": jnp.arange(4.0 * width).reshape(4, width).astype(dtype)}},
        "decoder": {"bias": jnp.linspace(-1.0, 1.0, width).astype(dtype)},
    }
    optimizer = optimizer or optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    average = jax.tree.map(lambda x: 2 * x, params) if ema else None
    return TrainState(jnp.int32(step), params, optimizer.init(params), jax.random.key(7), average)


def equal(a, b):
    """Structure, dtype, shape and bits."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if x.dtype != y.dtype or x.shape != y.shape:
            return False
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        if np.asarray(x).tobytes() != np.asarray(y).tobytes():
            return False
    return True


def abstract(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


@pytest.mark.parametrize("ema", [False, True])
def test_a_train_state_comes_back_to_the_bit_from_arrays_or_shapes(tmp_path, ema):
    state = make_state(ema=ema)
    path = save(tmp_path, state, metadata={"loss": 1.5, "names": ("a", "b")})
    assert path == tmp_path / "000000000003"
    for like in (state, make_state(0, ema=ema), abstract(state)):
        restored, metadata = restore(tmp_path, like)
        assert equal(restored, state)
        assert metadata == {"loss": 1.5, "names": ["a", "b"]}
    draw = jax.random.normal(restored.key, (2,))
    assert (draw == jax.random.normal(state.key, (2,))).all()


@pytest.mark.rows(slow=["rbg"])
@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_typed_keys_keep_their_kind(tmp_path, implementation):
    state = {"one": jax.random.key(1, impl=implementation)}
    state["many"] = jax.random.split(state["one"], (2, 3))
    save(tmp_path, state, step=0)
    restored, _ = restore(tmp_path, abstract(state))
    assert equal(restored, state)
    other = "rbg" if implementation == "threefry2x32" else "threefry2x32"
    with pytest.raises(ValueError, match="key<"):
        restore(tmp_path, {**state, "one": jax.random.key(1, impl=other)})


EXACT = {
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.asarray(2.5, np.float32),
    "numpy scalar": np.float64(1 / 3),
    "bfloat16": jnp.asarray([1.0, -0.0, 3e38], jnp.bfloat16),
    "float16": jnp.asarray([6e-8, 65504.0], jnp.float16),
    "minus zero": np.full((4,), -0.0, np.float32),
    "all zero": np.zeros((4, 4)),
    "bool": np.asarray([True, False]),
    "int64": np.asarray([2**63 - 1, -(2**63)]),
    "uint8": np.arange(256, dtype=np.uint8),
    "complex": np.asarray([1 + 2j, -0.0 - 1j], np.complex64),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "strided": np.arange(10.0)[::3],
    "subnormal": np.asarray([1e-45, 5e-324]),
    "None": None,
    "nested None": {"a": None, "b": (None, np.ones(1))},
    "no leaves": {},
    "none at all": ((), [], {"a": {}}),
}


def test_every_kind_of_leaf_comes_back_to_the_bit(tmp_path):
    save(tmp_path, EXACT, step=1)
    assert equal(restore(tmp_path, EXACT)[0], EXACT)


@pytest.mark.parametrize("state", [None, np.ones(3), (), np.zeros((0,)), [np.ones(1), np.ones(1)]])
def test_a_state_need_not_be_a_dict(tmp_path, state):
    save(tmp_path, state, step=1)
    assert equal(restore(tmp_path, state)[0], state)


NAMES = ["a.b", "a/b", "a b", "", "0", "größe 日本", "']['", "a']['b", "__metadata__", "../x", "a\n", "\\", "\udcff"]


def test_any_text_may_name_a_leaf_and_no_leaf_gets_the_values_of_another(tmp_path):
    state = {name: np.full((2,), i, np.float32) for i, name in enumerate(NAMES)}
    state["a"] = {"b": np.full((2,), 98.0, np.float32), "": np.full((2,), 99.0, np.float32)}
    state["numbers"] = {i: np.full((2,), i, np.float32) for i in (3, -1, 10**20)}
    save(tmp_path, state, step=1)
    assert equal(restore(tmp_path, state)[0], state)
    save(tmp_path / "b", {0: np.zeros(2), 1: np.ones(2)}, step=1)
    with pytest.raises(ValueError, match="of another model"):  # the keys 0 and 1 are no positions
        restore(tmp_path / "b", [np.zeros(2), np.ones(2)])


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({1: np.ones(1), "1": np.ones(1)}, r"\[1, '1'\]"),
        ({(1, 2): np.ones(1)}, r"\(1, 2\)"),
        ({1.5: np.ones(1)}, "1.5"),
        ({True: np.ones(1)}, "True"),
        ({None: np.ones(1)}, "None"),
        ({b"a": np.ones(1)}, "b'a'"),
        ({np.str_("a"): np.ones(1)}, "str_"),
        ({"deep": [{"deeper": {frozenset(): np.ones(1)}}]}, "frozenset"),
    ],
)
def test_a_key_that_is_no_name_is_refused_before_anything_is_written(tmp_path, state, named):
    with pytest.raises(ValueError, match=named):
        save(tmp_path / "c", state, step=1)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("leaf", "error", "message"),
    [
        (3, TypeError, "jnp.asarray"),
        ("text", TypeError, "metadata"),
        (object(), TypeError, "expected an array"),
        (np.asarray(["a"]), TypeError, "<U1"),
        (np.asarray([None]), TypeError, "object"),
        (np.zeros(2, ">f4"), TypeError, ">f4"),
        (np.zeros(2, [("a", "f4")]), TypeError, "dtype"),
        (jnp.zeros(2, jnp.int4), TypeError, "int4"),
        (jax.ShapeDtypeStruct((2,), jnp.float32), TypeError, "expected an array with values"),
        (np.asarray([1.0, np.nan]), ValueError, r"\.params\['w'\].*nan.*index \(1,\)"),
        (jnp.asarray([[jnp.inf]], jnp.bfloat16), ValueError, r"inf.*index \(0, 0\)"),
        (np.asarray(np.inf), ValueError, r"\.params\['w'\]"),
        (np.asarray([1j * np.nan]), ValueError, r"\.params\['w'\]"),
    ],
)
def test_a_leaf_that_cannot_be_saved_is_named(tmp_path, leaf, error, message):
    state = make_state()._replace(params={"w": leaf, "z": jnp.asarray([jnp.nan])})
    with pytest.raises(error, match=message):
        save(tmp_path / "c", state)
    assert not (tmp_path / "c").exists()


def test_nan_is_refused_everywhere_and_infinity_only_outside_the_scalars_of_the_optimizer(tmp_path):
    plateau = make_state(optimizer=optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()))
    assert any(np.isinf(leaf).any() for leaf in jax.tree.leaves(plateau.opt_state))  # the best loss so far
    save(tmp_path, plateau)
    assert equal(restore(tmp_path, plateau)[0], plateau)
    state = make_state(4)
    for value in (jnp.nan, jnp.inf):
        moments = jax.tree.map(lambda x, v=value: jnp.full(x.shape, v, x.dtype), state.opt_state)
        with pytest.raises(ValueError, match=r"\.opt_state.*(nan|inf)"):
            save(tmp_path, state._replace(opt_state=moments))
    with pytest.raises(ValueError, match=r"\.ema"):
        save(tmp_path, state._replace(ema=jnp.asarray(jnp.inf)))
    assert steps(tmp_path) == [3]


def test_saving_inside_jit_or_after_donation_is_an_error(tmp_path):
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda x: save(tmp_path / "c", {"w": x}, step=1))(jnp.ones(2))
    x = jnp.ones(2)
    x.delete()
    with pytest.raises(ValueError, match="donated"):
        save(tmp_path / "c", {"w": x}, step=1)


def drop_last_leaf(state):
    return state._replace(params={"encoder": state.params["encoder"]})


def rename_leaf(state):
    return state._replace(params={**drop_last_leaf(state).params, "Decoder": state.params["decoder"]})


@pytest.mark.parametrize(
    ("like", "shown"),
    [
        (lambda s: make_state(width=6), ["kernel'", "float32[4, 5] in the checkpoint", "float32[4, 6] expected"]),
        (lambda s: make_state(dtype=jnp.bfloat16), ["float32[5] in the checkpoint, bfloat16[5] expected"]),
        (drop_last_leaf, [".params['decoder']['bias']: float32[5] in the checkpoint, no such leaf expected"]),
        (rename_leaf, ["['Decoder']['bias']: missing in the checkpoint, float32[5] expected", "['decoder']"]),
        (lambda s: make_state(ema=True), [".ema: None[] in the checkpoint", ".ema['decoder']['bias']: missing"]),
        (lambda s: s._replace(key=jax.random.PRNGKey(0)), [".key: key<fry>[] in the checkpoint, uint32[2] expected"]),
        (lambda s: s._replace(step=np.int64(3)), [".step: int32[] in the checkpoint, int64[] expected"]),
        (lambda s: make_state(optimizer=optax.sgd(1e-3)), [".opt_state[1][0].mu"]),
        (lambda s: s.params, ["['decoder']['bias']: missing", ".step: int32[]"]),
        (lambda s: {"w": {str(i): np.ones(1) for i in range(30)}}, ["... and 30 more"]),
    ],
    ids=["width", "dtype", "extra", "renamed", "average", "key", "step", "optimizer", "part", "another"],
)
def test_a_checkpoint_of_another_model_lists_at_most_ten_differences(tmp_path, like, shown):
    state = make_state()
    save(tmp_path, state)
    with pytest.raises(ValueError, match="of another model") as error:
        restore(tmp_path, like(state))
    for text in shown:
        assert text in str(error.value)
    assert 1 <= str(error.value).count("in the checkpoint,") <= 10


def test_fields_in_another_order_still_find_their_values(tmp_path):
    class First(NamedTuple):
        a: Any
        b: Any

    class Second(NamedTuple):
        b: Any
        a: Any

    save(tmp_path, First(np.zeros(2), np.ones(2)), step=1)
    restored, _ = restore(tmp_path, Second(np.zeros(2), np.zeros(2)))
    assert restored.a.sum() == 0
    assert restored.b.sum() == 2


def test_the_newest_step_wins_whatever_the_clock_says(tmp_path):
    for step in (8, 9, 10, 11):
        path = save(tmp_path, {"w": np.full((3,), step)}, step=step, keep=3)
        os.utime(path, (2e9 - step * 86400, 2e9 - step * 86400))
    assert steps(tmp_path) == [9, 10, 11]
    like = {"w": np.zeros((3,), int)}
    assert restore(tmp_path, like)[0]["w"][0] == 11
    assert restore(tmp_path, like, step=9)[0]["w"][0] == 9
    with pytest.raises(FileNotFoundError, match=r"step 8.*\[9, 10, 11\]"):
        restore(tmp_path, like, step=8)


def test_saving_a_step_again_replaces_it(tmp_path):
    save(tmp_path, {"w": np.zeros(2)}, step=4)
    save(tmp_path, {"w": np.ones(2)}, step=5, keep=2)
    for value in (2.0, 3.0):
        path = save(tmp_path, {"w": np.full((2,), value)}, step=5, keep=2, metadata={"value": value})
        assert path.is_dir()
        restored, metadata = restore(tmp_path, {"w": np.zeros(2)})
        assert restored["w"][0] == metadata["value"] == value
    assert steps(tmp_path) == [4, 5]
    assert len(list(tmp_path.iterdir())) == 2


def test_an_older_step_is_refused_while_a_newer_one_is_good(tmp_path):
    for step in (10, 20):
        save(tmp_path, {"w": np.full((2,), step)}, step=step)
    with pytest.raises(ValueError, match=r"step is 15.*good checkpoint of step 20"):
        save(tmp_path, {"w": np.zeros(2)}, step=15)
    assert steps(tmp_path) == [10, 20]
    assert restore(tmp_path, {"w": np.zeros(2, int)})[0]["w"][0] == 20


def test_a_path_that_is_no_text_is_refused(tmp_path):
    for call in (lambda path: save(path, {"w": np.ones(1)}, step=1), lambda path: restore(path, {}), steps):
        with pytest.raises(ValueError, match=r"[Rr]ename it"):
            call(tmp_path / "a\udcffb")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["[x]*?", "a\\b", "[0-9]/gs:/b", "s3:"])
def test_a_path_that_orbax_would_take_for_another_holds_checkpoints_too(tmp_path, name):
    folder = tmp_path / name
    for step in (1, 2):
        save(folder, {"w": np.full(3, step)}, step=step, keep=1)
    assert restore(folder, {"w": np.zeros(3, int)})[0]["w"].tolist() == [2, 2, 2]
    assert [path.name for path in folder.iterdir()] == ["000000000002"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step": None}, ValueError, "no scalar field `step`"),
        ({"step": -1}, ValueError, "step is -1"),
        ({"step": 1.5}, TypeError, "step is 1.5"),
        ({"keep": 0}, ValueError, "keep is 0"),
        ({"keep": "3"}, TypeError, "keep is '3'"),
        ({"metadata": [1]}, TypeError, "metadata"),
        ({"metadata": {1: 2}}, ValueError, "the key 1"),
        ({"metadata": {"a": [{"b": {None: 2}}]}}, ValueError, "the key None"),
        ({"metadata": {"loss": float("nan")}}, ValueError, "finite numbers"),
        ({"metadata": {"loss": np.float32(1)}}, TypeError, "float32"),
        ({"metadata": {"text": "x" * 5_000_000}}, ValueError, "Keep metadata small"),
    ],
)
def test_options_out_of_range_are_named(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        save(tmp_path, {"w": np.ones(2)}, **{"step": 1, **options})
    assert list(tmp_path.iterdir()) == []


def test_no_checkpoint_is_a_missing_file(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        assert steps(folder) == []
        with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
            restore(folder, {"w": np.ones(2)})
    with pytest.raises(TypeError, match="step is 'new'"):
        restore(tmp_path, {"w": np.ones(2)}, step="new")


@pytest.mark.slow
def test_a_state_written_by_two_devices_continues_on_one_and_back(tmp_path):
    def step(state, x):
        grad = jax.lax.pmean(x.sum(), "batch")
        return {"w": state["w"] + grad, "key": state["key"]}

    two = jax.pmap(step, axis_name="batch", in_axes=(None, 0), out_axes=None)
    batch = jnp.arange(4.0).reshape(2, 2)
    state = two({"w": jnp.ones(3), "key": jax.random.key(1)}, batch)
    assert len(state["w"].devices()) == 2
    save(tmp_path, state, step=1)
    restored, _ = restore(tmp_path, abstract(state))
    assert equal(restored, state)
    assert equal(two(restored, batch), two(state, batch))
    assert jax.jit(lambda s: s["w"] * jax.random.uniform(s["key"]))(restored).devices() == {jax.devices()[0]}


def test_nothing_is_printed_logged_or_warned_and_a_running_event_loop_is_no_obstacle(tmp_path, caplog, capfd):
    async def inside_a_notebook():
        save(tmp_path, make_state(), keep=1)
        return restore(tmp_path, make_state())

    with caplog.at_level("INFO"):
        restored, _ = asyncio.run(inside_a_notebook())
    assert equal(restored, make_state())
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_file_modes_follow_the_umask_and_the_manifest_tells_nothing_of_the_machine(tmp_path):
    old = os.umask(0o027)
    try:
        save(tmp_path / "c", make_state())
        save_weights(tmp_path / "w.safetensors", make_state().params)
        with lock_folder(tmp_path / "run"):
            pass
    finally:
        os.umask(old)
    made = [path for path in tmp_path.rglob("*")]
    assert len(made) > 10
    assert {oct(path.stat().st_mode & 0o777) for path in made} == {oct(0o750), oct(0o640)}
    manifest = json.loads((tmp_path / "c" / "000000000003" / "manifest.json").read_text())
    assert manifest.keys() == {"format", "jaxvae", "packages", "step", "metadata", "leaves", "files", "sha256"}
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(texts) > 5
    assert not any(bytes(tmp_path) in text or b"unfinished" in text for text in texts)


@pytest.mark.slow
def test_paths_of_any_kind_and_another_process_in_the_c_locale(tmp_path):
    folder = tmp_path / "größe 日本 %20 #?|:\"'" / ("x" * 200)
    save(folder, {"w": np.arange(3.0)}, step=12, metadata={"ö": "ü"})
    script = (
        "import sys, numpy as np; from jaxvae.training.checkpoints.checkpoint import restore, save\n"
        "state, metadata = restore(sys.argv[1], {'w': np.zeros(3)})\n"
        "assert metadata == {'\\xf6': '\\xfc'}\n"
        "print(save(sys.argv[1], {'w': 2 * state['w']}, step=13).name)"
    )
    environment = {**os.environ, "LC_ALL": "C", "TZ": "Pacific/Kiritimati"}
    command = [sys.executable, "-W", "error", "-c", script, folder]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"000000000013\n", b"")
    assert restore(folder, {"w": np.zeros(3)})[0]["w"].tolist() == [0.0, 2.0, 4.0]


@pytest.mark.slow
def test_a_second_process_cannot_take_a_run_folder_and_a_dead_one_gives_it_back(tmp_path):
    script = (
        "import sys, time; from jaxvae.training.checkpoints.folders import lock_folder\n"
        "with lock_folder(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=f"{tmp_path} is in use"), lock_folder(tmp_path):
            pass
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    with lock_folder(tmp_path) as held:
        assert held == tmp_path
        with pytest.raises(ValueError, match="is in use"), lock_folder(tmp_path):
            pass


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyError), lock_folder(tmp_path / "a" / "b"):
        raise KeyError("training failed")
    with lock_folder(tmp_path / "a" / "b"):
        pass


def test_weights_come_back_and_other_programs_can_read_them(tmp_path):
    from safetensors.numpy import load_file

    params = make_state().params
    params["scale"] = jnp.float32(0.5)
    params["encoder"]["turned"] = np.arange(6.0).reshape(2, 3).T
    params["encoder"]["empty"] = np.zeros((0, 2), np.int64)
    path = save_weights(tmp_path / "new" / "w.safetensors", params)
    assert equal(load_weights(path), params)
    plain = load_file(path)
    assert set(plain) == {
        "encoder/Dense_0/kernel",
        "encoder/turned",
        "encoder/empty",
        "decoder/bias",
        "scale",
    }
    assert (plain["encoder/turned"] == np.arange(6.0).reshape(2, 3).T).all()
    save_weights(path, {"half": jnp.asarray([1.5, -0.0], jnp.bfloat16), "kept": np.asarray([np.nan])})
    assert load_weights(path)["half"].tobytes() == np.asarray(jnp.asarray([1.5, -0.0], jnp.bfloat16)).tobytes()
    assert [item.name for item in path.parent.iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"a/b": np.ones(1)}, ValueError, "'a/b'"),
        ({"a": {"b.c": np.ones(1)}}, ValueError, "a has the key 'b.c'"),
        ({"": np.ones(1)}, ValueError, "the key ''"),
        ({1: np.ones(1)}, ValueError, "the key 1"),
        ({"__metadata__": np.ones(1)}, ValueError, "__metadata__"),
        ({}, ValueError, "params is an empty dict"),
        ({"a": {"b": {}}}, ValueError, "a/b is an empty dict"),
        ({"a": [np.ones(1)]}, TypeError, "a is .*list"),
        ({"a": None}, TypeError, "a is None"),
        ({"a": 1.0}, TypeError, "a is 1.0"),
        ({"a": jax.random.key(0)}, TypeError, "key<fry>"),
        ({"a": np.ones(1, complex)}, TypeError, "complex128"),
    ],
)
def test_weights_that_the_file_cannot_hold_are_refused(tmp_path, params, error, message):
    path = save_weights(tmp_path / "w.safetensors", {"w": np.ones(2)})
    with pytest.raises(error, match=message):
        save_weights(path, params)
    assert load_weights(path)["w"].sum() == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_weights_of_another_program_are_read_unless_their_names_collide(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a/b": np.ones(2), "c": np.zeros(1)}, tmp_path / "good")
    assert load_weights(tmp_path / "good")["a"]["b"].sum() == 2
    for i, names in enumerate((["a", "a/b"], ["a/b", "a/b/c"], ["a.b"], ["a//b"], ["/"], [""])):
        save_file({name: np.ones(2) for name in names}, tmp_path / f"{i}")
        with pytest.raises(ValueError, match="has the name"):
            load_weights(tmp_path / f"{i}")


@pytest.mark.slow
def test_weights_that_were_changed_by_one_bit_are_refused_or_the_same(tmp_path):
    params = {"a": {"kernel": np.arange(8, dtype=np.float32)}, "b": np.ones(3, np.float16)}
    path = save_weights(tmp_path / "w", params)
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        text = bytearray(whole)
        text[place] ^= 1 << place % 8
        path.write_bytes(text)
        try:
            found = load_weights(path)
        except ValueError:
            refused += 1
        else:
            assert equal(found, params), "the bit was one of the comment that names the program"
    assert refused > 0.7 * len(whole)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            load_weights(path)
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "none")


def test_weights_on_a_disk_that_fails_leave_the_old_file(tmp_path, monkeypatch):
    path = save_weights(tmp_path / "w", {"w": np.ones(2)})

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"w: No space left on device. It needs about \d+ bytes, and \d+ are free"):
        save_weights(path, {"w": np.zeros(2)})
    assert load_weights(path)["w"].sum() == 2
    assert [item.name for item in tmp_path.iterdir()] == ["w"]


def test_threads_that_save_in_folders_of_their_own_do_not_meet(tmp_path):
    errors = []

    def work(name):
        try:
            for step in range(3):
                save(tmp_path / name, {"w": np.full((4,), step)}, step=step)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert steps(tmp_path / "a") == steps(tmp_path / "b") == [0, 1, 2]


@pytest.mark.slow
def test_many_saves_leave_nothing_behind_in_memory(tmp_path):
    state = {f"w{i}": np.arange(4.0, dtype=np.float32) for i in range(20)} | {"key": jax.random.key(0)}

    def objects(first, last):
        for step in range(first, last):
            save(tmp_path, state, step=step)
        gc.collect()
        return len(gc.get_objects())

    before = objects(0, 3)
    assert objects(3, 8) - before < 5 * 20  # where TensorStore is asked for metadata, 11 for each of the 20 arrays
