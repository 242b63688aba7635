"""Kills, full disks, flipped bits, hostile folders: the last good checkpoint survives; nothing wrong is returned.

The numbers of the long tier: `pytest tests/process/test_checkpoint_faults.py -m full`.
"""

import errno
import json
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from disks import mounted

from jaxvae.training.checkpoints import arrays, checkpoint, files, folders, manifest
from jaxvae.training.checkpoints.checkpoint import restore, save, steps
from jaxvae.training.checkpoints.leaves import Leaf

sys.path.insert(0, str(Path(__file__).parent / "faults"))
from save_forever import state_at

CHILD = Path(__file__).parent / "faults" / "save_forever.py"
LIKE = state_at(0)
full = pytest.mark.full


def of_step(state):
    """The step that this state tells in every number, or None where its numbers disagree."""
    step = int(state["step"])
    same = state["w"].dtype == np.float32 and state["w"].shape == (40, 50) and (state["w"] == step).all()
    return step if same else None


def save_two(folder):
    for step in (1, 2):
        save(folder, state_at(step), step=step, metadata={"step": step})
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return save_two(tmp_path_factory.mktemp("template") / "run")


@pytest.fixture
def saved(template, tmp_path):
    """A folder with the steps 1 and 2."""
    return Path(shutil.copytree(template, tmp_path / "run"))


def newest(folder):
    return sorted(path for path in folder.iterdir() if path.is_dir())[-1]


def regular_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def falls_back(folder, naming=""):
    """Restores step 1 with one warning that names step 2 and the file."""
    with pytest.warns(UserWarning, match=f"step 2.*{naming}") as warned:
        state, metadata = restore(folder, LIKE)
    assert len(warned) == 1
    assert of_step(state) == metadata["step"] == 1


def survives(folder, confirmed):
    """What has to hold after a kill: nothing confirmed is lost, all that is listed can be read, and saving goes on."""
    state, _ = restore(folder, LIKE)
    last = of_step(state)
    assert last >= max(confirmed, default=0)
    listed = steps(folder)
    assert [of_step(restore(folder, LIKE, step=step)[0]) for step in listed] == listed
    assert set(confirmed[-2:]) - {last - 2} <= set(listed)
    save(folder, state_at(last + 1), step=last + 1, keep=2)
    assert steps(folder) == [last, last + 1]
    assert len(list(folder.iterdir())) == 2, "what the dead process left is gone"


def kill_by_itself(folder, mode, seed):
    done = subprocess.run([sys.executable, CHILD, folder, mode, str(seed)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    survives(folder, [int(line) for line in done.stdout.split()])


def kill_from_outside(folder, seed):
    child = subprocess.Popen([sys.executable, CHILD, folder], stdout=subprocess.PIPE, text=True)
    first = child.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.0, 0.4))
    child.kill()
    rest = child.stdout.read()
    child.stdout.close()
    child.wait()
    survives(folder, [int(line) for line in (first + rest).splitlines()])


def in_parallel(function, count):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(function, range(count)))


@pytest.mark.slow
def test_kill_nine_while_saving_and_deleting_loses_nothing(tmp_path):
    jobs = [
        lambda: kill_from_outside(tmp_path / "a", 0),
        lambda: kill_by_itself(tmp_path / "b", "anywhere", 1),
        lambda: kill_by_itself(tmp_path / "c", "deleting", 2),
    ]
    in_parallel(lambda i: jobs[i](), len(jobs))


@full
def test_two_hundred_kills_at_any_moment(tmp_path):
    def kill(i):
        if i % 2:
            kill_from_outside(tmp_path / f"{i}", i)
        else:
            kill_by_itself(tmp_path / f"{i}", "anywhere", i)
        shutil.rmtree(tmp_path / f"{i}")

    in_parallel(kill, 200)


@full
def test_two_hundred_kills_of_one_run_that_always_resumes(tmp_path):
    for i in range(200):
        kill_from_outside(tmp_path, 1000 + i)
    assert steps(tmp_path)[-1] > 200


@full
def test_one_hundred_kills_while_old_checkpoints_are_deleted(tmp_path):
    def kill(i):
        kill_by_itself(tmp_path / f"{i}", "deleting", i)
        shutil.rmtree(tmp_path / f"{i}")

    in_parallel(kill, 100)


def flip_bits(folder, count, seed):
    """Flips one bit at a time in the newest checkpoint, files by size; every flip is found and named, or harmless."""
    whole = {path: path.read_bytes() for path in regular_files(newest(folder)) if path.stat().st_size}
    generator = random.Random(seed)
    for _ in range(count):
        path = generator.choices(list(whole), [len(text) for text in whole.values()])[0]
        place = generator.randrange(8 * len(whole[path]))
        text = bytearray(whole[path])
        text[place // 8] ^= 1 << place % 8
        path.write_bytes(text)
        falls_back(folder, naming=path.name)
        path.write_bytes(whole[path])
    assert of_step(restore(folder, LIKE)[0]) == 2


def test_a_flipped_bit_is_found_and_the_step_before_is_used(saved):
    flip_bits(saved, 25, seed=0)


@full
def test_five_hundred_flipped_bits(saved):
    flip_bits(saved, 500, seed=1)


def damage_each_file(folder, damages):
    for path in regular_files(newest(folder)):
        whole = path.read_bytes()
        for damage in damages:
            damage(path, whole)
            if not path.exists() or path.read_bytes() != whole:
                falls_back(folder, naming=path.name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(whole)
    assert of_step(restore(folder, LIKE)[0]) == 2


def test_each_file_truncated_zeroed_grown_deleted_or_turned_into_a_folder(saved):
    def into_a_folder(path, whole):
        path.unlink()
        path.mkdir()
        with pytest.warns(UserWarning, match="step 2"):
            assert of_step(restore(saved, LIKE)[0]) == 1
        path.rmdir()

    damages = [
        lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
        lambda path, whole: path.write_bytes(bytes(len(whole))),
        lambda path, whole: path.write_bytes(whole + b"\0"),
        lambda path, whole: path.unlink(),
        into_a_folder,
    ]
    damage_each_file(saved, damages)


@full
def test_one_hundred_truncations(saved):
    generator = random.Random(0)

    def cut(path, whole):
        path.write_bytes(whole[: generator.randrange(len(whole) or 1)])

    damage_each_file(saved, [cut] * (1 + 100 // len(regular_files(newest(saved)))))


def test_all_damaged_lists_each_fault_and_deletes_nothing(saved):
    first, second = sorted(saved.iterdir())
    (first / "manifest.json").write_text("{}")
    regular_files(second / "arrays")[0].unlink()
    before = regular_files(saved)
    with pytest.raises(ValueError, match=r"(?s)step 2 .*is missing.*step 1 .*manifest\.json.*Nothing was deleted"):
        restore(saved, LIKE)
    assert regular_files(saved) == before
    assert steps(saved) == [1, 2], "nobody may take this folder for empty"


def test_a_damaged_step_that_was_asked_for_is_an_error(saved):
    (newest(saved) / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"(?s)step 2 .*manifest\.json: is missing"):
        restore(saved, LIKE, step=2)
    assert of_step(restore(saved, LIKE, step=1)[0]) == 1


def test_training_goes_on_from_the_step_before_a_damaged_one(saved):
    save(saved, state_at(5), step=5)
    (newest(saved) / "manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match="step 5"):
        assert of_step(restore(saved, LIKE)[0]) == 2
    for step in (3, 4):  # older than the damaged one
        save(saved, state_at(step), step=step, keep=2)
    assert steps(saved) == [3, 4, 5]
    save(saved, state_at(5), step=5, keep=2)
    assert of_step(restore(saved, LIKE)[0]) == 5
    with pytest.raises(ValueError, match="good checkpoint of step 5"):
        save(saved, state_at(4), step=4)


def test_a_renamed_checkpoint_is_not_believed(saved):
    newest(saved).rename(saved / "000000000009")
    with pytest.warns(UserWarning, match="is of step 2, expected 9"):
        assert of_step(restore(saved, LIKE)[0]) == 1


def test_a_checkpoint_of_another_release_is_not_called_damaged(saved):
    path = newest(saved) / "manifest.json"
    body = json.loads(path.read_text())
    del body["sha256"]
    path.write_text(manifest.render({**body, "format": 99, "jaxvae": "9.9"}))
    with pytest.raises(ValueError, match=r"format 99, written by jaxvae '9.9'; this is jaxvae \d.*reads format 1"):
        restore(saved, LIKE)
    with pytest.raises(ValueError, match="format 99"):
        save(saved, state_at(1), step=1)


def test_wrong_arrays_from_orbax_are_found_even_if_every_file_is_as_written(saved, monkeypatch):
    real = arrays.read

    def wrong(folder, expected, **options):
        values = real(folder, expected, **options)
        if "000000000001" not in str(folder):
            values[-1] = np.where(np.arange(50) == 9, np.nextafter(values[-1], 0, dtype=np.float32), values[-1])
        return values

    monkeypatch.setattr(arrays, "read", wrong)
    falls_back(saved, naming=r"the array \['w'\]")
    with pytest.raises(OSError, match="cannot save"):
        save(saved, state_at(2), step=3)
    assert steps(saved) == [1, 2]
    assert len(list(saved.iterdir())) == 2


def not_saved(
    folder, state, code=None, match=r"cannot save .*000000000003: .* (It needs about \d+ bytes, and \d+ are free)?"
):
    """The save of step 3 fails loudly and leaves the folder as it was."""
    before = regular_files(folder)
    with pytest.raises(OSError, match=match) as error:
        save(folder, state, step=3)
    assert error.value.errno == code
    assert regular_files(folder) == before
    assert sorted(path.name for path in folder.iterdir()) == ["000000000001", "000000000002"]


def test_a_full_disk_is_known_before_anything_is_written(saved, monkeypatch):
    usage = shutil.disk_usage(saved)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    not_saved(
        saved,
        state_at(3),
        errno.ENOSPC,
        match="No space left on device. It needs about 1056580 bytes, and 1000 are free",
    )


MOMENTS = [(files, "fsync"), (arrays, "write"), (manifest, "compose"), (Path, "rename")]


@pytest.mark.parametrize(("module", "name"), MOMENTS)
def test_a_disk_that_fills_at_any_moment_leaves_no_partial_folder(saved, monkeypatch, module, name):
    real, calls = getattr(module, name), []

    def fail(*arguments, **options):
        calls.append(name)
        if name == "write":
            real(*arguments, **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, name, fail)
    not_saved(saved, state_at(3), errno.ENOSPC)
    assert calls


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_disk_that_is_really_full(tmp_path, monkeypatch, foreseen):
    noise = np.random.default_rng(0).standard_normal(1_200_000).astype(np.float32)
    with mounted(tmp_path / "disk", "size=4m") as disk:
        save_two(disk)
        if not foreseen:
            usage = shutil.disk_usage(disk)
            monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**12))
        not_saved(disk, {"w": noise}, errno.ENOSPC)
        assert of_step(restore(disk, LIKE)[0]) == 2


def test_a_disk_that_is_really_read_only(tmp_path):
    with mounted(tmp_path / "disk", "size=4m") as disk:
        save_two(disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        not_saved(disk, state_at(3), errno.EROFS)
        assert of_step(restore(disk, LIKE)[0]) == 2
        with pytest.raises(OSError, match=str(disk)), folders.lock_folder(disk):
            pass


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(saved):
    saved.chmod(0o500)
    try:
        not_saved(saved, state_at(3), errno.EACCES)
        with pytest.raises(OSError, match=str(saved)), folders.lock_folder(saved):
            pass
    finally:
        saved.chmod(0o700)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "a").write_text("mine")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match=str(path)):
            save(path, state_at(1), step=1)
    for call in (steps, lambda path: restore(path, LIKE), lambda path: folders.lock_folder(path).__enter__()):
        with pytest.raises(NotADirectoryError, match="expected a folder"):
            call(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"


def test_an_interrupt_while_saving_leaves_no_partial_folder(saved, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "compose", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(saved, state_at(3), step=3)
    assert sorted(path.name for path in saved.iterdir()) == ["000000000001", "000000000002"]


def test_an_old_checkpoint_that_cannot_be_deleted_is_a_warning_after_the_save(saved, monkeypatch):
    def fail(path, ignore_errors=False):
        if not ignore_errors:
            raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(folders.shutil, "rmtree", fail)
    with pytest.warns(UserWarning, match=r"step 3 is saved, but .*000000000001 was not deleted"):
        save(saved, state_at(3), step=3, keep=2)
    monkeypatch.undo()
    assert steps(saved) == [2, 3]
    save(saved, state_at(4), step=4, keep=2)
    assert len(list(saved.iterdir())) == 2


def test_what_is_not_ours_is_never_deleted(saved):
    (saved / "000000000000").mkdir()
    (saved / "000000000000" / "notes.txt").write_text("mine")
    (saved / "unfinished-notes").mkdir()
    outside = saved.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("mine")
    (saved / f"deleted-000000000001-{'0' * 32}").symlink_to(outside)
    for step in (3, 4):
        save(saved, state_at(step), step=step, keep=1)
    assert steps(saved) == [0, 4]
    assert (saved / "000000000000" / "notes.txt").read_text() == "mine"
    assert (saved / "unfinished-notes").is_dir()
    assert (outside / "kept").read_text() == "mine"


def forge(folder, **changes):
    """A manifest that vouches for whatever lies in the folder now: what an attacker would write."""
    path = folder / "manifest.json"
    body = json.loads(path.read_text())
    recorded = [(Leaf(r["path"], tuple(r["shape"]), r["dtype"]), r["sha256"]) for r in body["leaves"]]
    body = json.loads(manifest.compose(folder / "arrays", body["step"], body["metadata"], recorded))
    del body["sha256"]
    path.write_text(manifest.render({**body, **changes}))


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def put_pickles(folder, outside):
    for name in ("arrays/state/checkpoint.pkl", "arrays/state/_METADATA", "arrays/state/manifest.ocdbt"):
        (folder / name).write_bytes(pickle.dumps(Bomb(outside / "hacked")))
    forge(folder)


def put_object_array(folder, outside):
    np.save(folder / "arrays" / "state" / "0.npy", np.asarray([Bomb(outside / "hacked")]), allow_pickle=True)


def link_file(folder, outside):
    victim = regular_files(folder / "arrays")[-1]
    shutil.copy(victim, outside / "copy")
    victim.unlink()
    victim.symlink_to(outside / "copy")


def link_folder(folder, outside):
    shutil.move(folder / "arrays" / "state", outside / "state")
    (folder / "arrays" / "state").symlink_to(outside / "state")


def link_arrays(folder, outside):
    shutil.move(folder / "arrays", outside / "arrays")
    (folder / "arrays").symlink_to(outside / "arrays")


def link_all(folder, outside):
    shutil.move(folder, outside / "all")
    folder.symlink_to(outside / "all")


def link_manifest(folder, outside):
    shutil.move(folder / "manifest.json", outside / "manifest.json")
    (folder / "manifest.json").symlink_to(outside / "manifest.json")


def name_outside(name):
    def change(folder, outside):
        (outside / "secret").write_text("secret")
        forge(folder)
        body = json.loads((folder / "manifest.json").read_text())
        record = {"path": name.format(outside=outside), "bytes": 6, "sha256": files.digest(outside / "secret")}
        forge(folder, files=[*body["files"], record])

    return change


def pipe(folder, outside):
    victim = regular_files(folder / "arrays")[-1]
    victim.unlink()
    os.mkfifo(victim)


def pipe_manifest(folder, outside):
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


def manifest_text(text):
    def change(folder, outside):
        (folder / "manifest.json").write_bytes(text)

    return change


def sparse_manifest(folder, outside):
    os.truncate(folder / "manifest.json", 2**40)


def forged(**changes):
    return lambda folder, outside: forge(folder, **changes)


def in_orbax(edit):
    """Rewrites the description of the array inside orbax's own files, and vouches for it."""

    def change(folder, outside):
        import tensorstore

        base = f"file://{folder}/arrays/state/"
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
        described = json.loads(store.read(b"00001/zarr.json").result().value)
        edit(described)
        store.write(b"00001/zarr.json", json.dumps(described).encode()).result()
        forge(folder)

    return change


HUGE = 2**33  # elements
PLAIN = [{"name": "bytes", "configuration": {"endian": "little"}}]
LEAF = {"path": "['w']", "shape": [40, 50], "dtype": "float32", "sha256": "0" * 64}
STEP = {"path": "['step']", "shape": [], "dtype": "int32", "sha256": "0" * 64}
HOSTILE = {
    "pickles": put_pickles,
    "object array": put_object_array,
    "linked file": link_file,
    "linked folder": link_folder,
    "linked arrays": link_arrays,
    "linked checkpoint": link_all,
    "linked manifest": link_manifest,
    "relative name": name_outside("../../../outside/secret"),
    "absolute name": name_outside("{outside}/secret"),
    "pipe": pipe,
    "pipe for a manifest": pipe_manifest,
    "manifest that is a pickle": manifest_text(pickle.dumps(Bomb("hacked"))),
    "manifest that nests": manifest_text(b"[" * 1_000_000),
    "manifest of one number": manifest_text(b"9" * 1_000_000),
    "manifest of empty lists": manifest_text(b"[" + b"[]," * 400_000 + b"[]]"),
    "manifest of a terabyte": sparse_manifest,
    "no fields": lambda folder, outside: (folder / "manifest.json").write_text(manifest.render({"format": 1})),
    "fields of other types": forged(files="all", leaves={"a": 1}),
    "records of other types": forged(files=[[1], None], leaves=[LEAF]),
    "huge shape": forged(leaves=[STEP, {**LEAF, "shape": [HUGE, HUGE]}]),
    "shape that is no number": forged(leaves=[STEP, {**LEAF, "shape": [[1e400], "x"]}]),
    "dtype that is code": forged(leaves=[STEP, {**LEAF, "dtype": "__import__('os').mkdir('hacked')"}]),
    "leaves twice": forged(leaves=[STEP, LEAF, LEAF]),
    "huge array": in_orbax(lambda d: d.update(shape=[HUGE, 50])),
    "huge pieces": in_orbax(
        lambda d: d.update(codecs=PLAIN, chunk_grid={"name": "regular", "configuration": {"chunk_shape": [HUGE, 50]}})
    ),
    "another dtype": in_orbax(lambda d: d.update(data_type="float64", codecs=PLAIN)),
}


# Tensorstore reports to an event loop that orbax has closed, when it fails; nothing of ours can hear it.
late_report = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@late_report
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_and_runs_nothing(saved, monkeypatch, name):
    outside = saved.parent / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    folder = newest(saved)
    HOSTILE[name](folder, outside)
    kept = regular_files(outside)
    with pytest.raises(ValueError, match=r"000000000002") as error:
        restore(saved, LIKE, step=2)
    assert type(error.value) is ValueError
    assert list(saved.parent.rglob("hacked")) == []
    assert regular_files(outside) == kept
    assert "secret" not in str(error.value).replace("/secret'", "")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2**28


def mutate(text, generator):
    """A few bytes of a file changed, cut out, repeated or put in."""
    text = bytearray(text)
    for _ in range(generator.randint(1, 4)):
        at, size = generator.randrange(len(text) + 1), generator.randint(1, 16)
        choice = generator.randrange(4)
        if choice == 0:
            text[at : at + size] = generator.randbytes(len(text[at : at + size]))
        elif choice == 1:
            del text[at : at + size]
        elif choice == 2:
            text[at:at] = text[at : at + size]
        else:
            text[at:at] = generator.randbytes(size)
    return bytes(text)


def fuzz(folder, count, seed, seconds):
    """Random changes, half of them vouched for by a forged manifest so that orbax has to parse them.

    Either the state comes back as it was, or `ValueError`, and nothing else.
    """
    whole = {path: path.read_bytes() for path in regular_files(newest(folder)) if path.stat().st_size}
    generator, outcomes = random.Random(seed), {"refused": 0, "same": 0}

    def hangs(*_):
        raise AssertionError("reading a mutated file takes too long")

    signal.signal(signal.SIGALRM, hangs)
    try:
        for i in range(count):
            path = generator.choice(list(whole))
            path.write_bytes(mutate(whole[path], generator))
            if i % 2 and path.name != manifest.NAME:
                forge(newest(folder))
            signal.alarm(seconds)
            try:
                assert of_step(restore(folder, LIKE, step=2)[0]) == 2
                outcomes["same"] += 1
            except ValueError:
                outcomes["refused"] += 1
            signal.alarm(0)
            for each, text in whole.items():
                each.write_bytes(text)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    return outcomes


@pytest.mark.slow
@late_report
def test_a_mutated_checkpoint_is_refused_or_the_same(saved):
    assert fuzz(saved, 40, seed=0, seconds=60)["refused"] > 20


@full
@late_report
def test_one_thousand_mutations(saved):
    assert fuzz(saved, 1000, seed=1, seconds=60)["refused"] > 500


def test_a_checkpoint_that_goes_while_it_is_read_is_no_damage(tmp_path, monkeypatch):
    """A run that trains keeps one checkpoint and saves the next: whoever opens it then looks again, without a word."""
    save(tmp_path, state_at(1), step=1)
    read, last = arrays.read, 4

    def late(folder, *arguments, own=False):
        step = int(steps(tmp_path)[-1])
        if not own and step < last:
            save(tmp_path, state_at(step + 1), step=step + 1, keep=1)
        return read(folder, *arguments, own=own)

    monkeypatch.setattr(arrays, "read", late)
    assert of_step(restore(tmp_path, LIKE)[0]) == 4
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 1; steps found: \[4\]"):
        restore(tmp_path, LIKE, step=1)
    last = 100
    monkeypatch.setattr(checkpoint, "LOOKS", 3)
    with pytest.raises(ValueError, match="for long enough to read it"):
        restore(tmp_path, LIKE)
    assert steps(tmp_path) == [7]
