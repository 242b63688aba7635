"""What follows a training: everything is told once, in order, and none of it can stop a run."""

import struct
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from small import SHAPE, small_vae

import jaxvae
from jaxvae.runs import train as runs_train
from jaxvae.runs.configs.config import DataConfig, ModelConfig
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.folder.metrics import read_metrics
from jaxvae.runs.tracking.services import Start, TensorBoard
from jaxvae.runs.tracking.trackers import as_trackers
from jaxvae.runs.train import train_run

pytestmark = pytest.mark.quick_compile

TINY = replace(
    PRESETS["digits"],
    epochs=2,
    batch_size=500,
    evaluate_every=1,
    parallel="jit",
    progress=False,
    data=DataConfig("digits", protocol="threshold"),
    model=ModelConfig(hidden=(8,), latent_dim=2),
)
NOISE = np.random.default_rng(0).integers(0, 2, (50, *SHAPE)).astype(np.float32)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)


class Own:
    """A user's own tracker."""

    def __init__(self):
        self.records, self.images, self.closed = [], [], 0

    def write(self, record):
        self.records.append(record)

    def image(self, name, array, step):
        self.images.append((name, array.shape, array.dtype.name, step))

    def close(self):
        self.closed += 1


def events(folder):
    """(step, tag, value or PNG) of every event that TensorBoard shows, by its own rule for restarted sessions."""
    event_pb2 = pytest.importorskip("tensorboardX").proto.event_pb2
    shown = []
    for path in sorted(folder.glob("events.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += 12 + length + 4
            if event.session_log.status == event_pb2.SessionLog.START:
                shown = [entry for entry in shown if entry[0] < event.step]
            for value in event.summary.value:
                content = value.image.encoded_image_string if value.HasField("image") else value.simple_value
                shown.append((event.step, value.tag, content))
    return shown


@pytest.mark.slow
def test_a_users_own_tracker_gets_what_the_log_of_the_run_gets_and_pictures(tmp_path):
    own, lines = Own(), []
    outcome = train_run(TINY, tmp_path / "a", trackers=[own, lines.append], say=lambda line: None)
    assert own.records == lines == read_metrics(outcome.folder / "metrics.jsonl")
    assert [record["split"] for record in lines] == ["train", "test"] * 2
    assert own.images == [
        (name, shape, "uint8", step)
        for step in (3, 6)
        for name, shape in (("reconstructions", (16, 64, 1)), ("samples", (16, 64, 1)))
    ]
    assert own.closed == 1


def test_fit_tells_its_trackers_every_epoch(tmp_path):
    own, log = Own(), jaxvae.runs.JSONLines(tmp_path / "log.jsonl")
    history = jaxvae.fit(small_vae(), NOISE, epochs=2, batch_size=10, trackers=[own, log], progress=False).history
    assert own.records == history
    assert [record["elbo"] for record in read_metrics(log.path)] == [record["elbo"] for record in history]
    assert own.closed == 1


def test_a_tracker_that_fails_is_said_once_and_the_training_goes_on():
    def full(record):
        raise OSError("No space left on device")

    with pytest.warns(UserWarning, match="full failed .*No space left") as warned:
        history = jaxvae.fit(small_vae(), NOISE, epochs=3, batch_size=10, trackers=[full], progress=False).history
    assert len(history) == 3
    assert len(warned) == 1


REFUSED = {
    "no tracker": ([3], TypeError, "expected a function or an object with write"),
    "one name": ("tensorboard", TypeError, "expected a list"),
    "unknown": (["tensorbord"], ValueError, "did you mean 'tensorboard'"),
    "not installed": (["wandb"], ValueError, "pip install wandb"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_follow_is_refused_before_any_training(case, monkeypatch):
    import importlib.util

    given, error, words = REFUSED[case]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(error, match=words):
        as_trackers(given, print)


def test_a_name_needs_a_run_folder():
    with pytest.raises(ValueError, match=r"jaxvae\.runs\.TensorBoard"):
        jaxvae.fit(small_vae(), NOISE, epochs=1, trackers=["tensorboard"], progress=False)


def test_the_files_of_tensorboard_read_back_and_a_resumed_run_shows_each_step_once(tmp_path):
    pytest.importorskip("tensorboardX")
    for step, values in ((0, (1.0, 2.0, 3.0)), (20, (3.0, 4.0))):
        board = TensorBoard(tmp_path, step)
        for number, value in enumerate(values, 1):
            board.write({"step": step + 10 * number, "epoch": 1.0, "split": "train", "elbo": -value, "kl": None})
        board.image("samples", np.full((4, 8, 1), 200, np.uint8), step + 10)
        board.close()
    found = events(tmp_path)
    assert [(step, value) for step, tag, value in found if tag == "elbo/train"] == [
        (10, -1.0),
        (20, -2.0),
        (30, -3.0),
        (40, -4.0),
    ]
    pictures = [(step, value[:8]) for step, tag, value in found if tag == "samples"]
    assert pictures == [(10, b"\x89PNG\r\n\x1a\n"), (30, b"\x89PNG\r\n\x1a\n")]


@pytest.mark.slow
def test_a_run_that_goes_on_without_its_tracker_says_so(tmp_path):
    pytest.importorskip("tensorboardX")
    said = []
    for epochs, trackers in ((1, ["tensorboard"]), (2, []), (2, []), (3, ["tensorboard"])):
        said.append([])
        train_run(replace(TINY, epochs=epochs), tmp_path / "a", trackers=trackers, say=said[-1].append)
    words = "Nothing goes to tensorboard any longer; to go on with it: --track tensorboard"
    assert [words in lines for lines in said] == [False, True, False, False]


@pytest.mark.slow
def test_a_run_that_was_cut_shows_in_tensorboard_as_the_unbroken_one(tmp_path, monkeypatch):
    from jaxvae.runs import running

    pytest.importorskip("tensorboardX")
    config, real = replace(TINY, epochs=3, save_every=2), running.train

    class Died(BaseException):
        pass

    def dying(compiled, state, images, steps, **options):
        yield from real(compiled, state, images, 9, **options)
        raise Died

    monkeypatch.setattr(running, "train", dying)
    monkeypatch.setattr(running.Running, "due", lambda self, step: step == 6)
    monkeypatch.setattr(running.checkpoint, "save", lambda *a, save=running.checkpoint.save, **o: step_six(save, a, o))

    def step_six(save, arguments, options):
        if int(arguments[1].step) == 6:
            return save(*arguments, **options)
        raise Died

    with pytest.raises(Died):
        train_run(config, tmp_path / "a", trackers=["tensorboard"], say=lambda line: None)
    monkeypatch.undo()
    monkeypatch.setattr(runs_train, "draw_pictures", lambda *args, **options: None)
    for name in "ab":
        train_run(config, tmp_path / name, trackers=["tensorboard"], say=lambda line: None)
    cut, unbroken = (sorted(events(tmp_path / name / "tensorboard")) for name in "ab")
    assert cut == unbroken
    assert len(list((tmp_path / "a" / "tensorboard").iterdir())) == 2
    assert {tag for _, tag, _ in cut} >= {"elbo/train", "elbo/test", "samples", "reconstructions"}


class Calls(list):
    """Stands for a service: notes what is called."""

    def named(self, name):
        return lambda *args, **options: self.append((name, args, options)) or self.run

    run = types.SimpleNamespace(info=types.SimpleNamespace(run_id="run-7"))


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_service_gets_the_calls_it_knows_and_nothing_twice(name, tmp_path, monkeypatch):
    calls = Calls()
    calls.run = types.SimpleNamespace(
        log=calls.named("log"), finish=calls.named("finish"), info=types.SimpleNamespace(run_id="run-7")
    )
    module = types.ModuleType(name)
    module.__spec__ = types.SimpleNamespace(name=name)
    for function in ("init", "set_experiment", "start_run", "log_params", "log_metrics", "log_image", "end_run"):
        setattr(module, function, calls.named(function))
    module.Image = lambda array: ("image", array.shape)
    monkeypatch.setitem(sys.modules, name, module)
    for sent in (0, 10):
        trackers = as_trackers([name], lambda line: pytest.fail(line))
        trackers.open(Start(tmp_path, {"optim.lr": 0.1}, sent and 5, sent))
        for step in (10, 20):
            trackers.write({"step": step, "epoch": 1.0, "split": "test", "elbo": -float(step)})
        trackers.image("samples", np.zeros((4, 4, 1), np.uint8), 20)
        trackers.close()
    opened = [call for call in calls if call[0] in ("init", "start_run")]
    logged = [call for call in calls if call[0] in ("log", "log_metrics") and "elbo/test" in call[1][0]]
    assert [call[2]["step"] for call in logged] == [10, 20, 20]
    assert [call[1][0] for call in logged] == [{"elbo/test": -10.0}, {"elbo/test": -20.0}, {"elbo/test": -20.0}]
    key = {"wandb": "id", "mlflow": "run_id", "trackio": "name"}[name]
    first, second = (call[2][key] for call in opened)
    assert first == second or (first, second) == (None, "run-7")
    assert [call[0] for call in calls].count("finish") + [call[0] for call in calls].count("end_run") == 2
    assert sum(call[0] == "log_image" or (call[0] == "log" and "samples" in call[1][0]) for call in calls) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mlflow_itself_takes_it(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install mlflow")
    monkeypatch.chdir(tmp_path)  # where it puts what belongs to no database
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    for sent in (0, 20):
        trackers = as_trackers(["mlflow"], lambda line: pytest.fail(line))
        trackers.open(Start(tmp_path, {"optim.lr": 0.1}, sent, sent))
        for step in (10, 20, 30)[: 3 if sent else 2]:
            trackers.write({"step": step, "epoch": 1.0, "split": "test", "elbo": -float(step)})
        trackers.image("samples", np.zeros((4, 4, 1), np.uint8), 30)
        trackers.close()
    (run,) = mlflow.search_runs(experiment_names=["jaxvae"], output_format="list")
    assert run.data.params == {"optim.lr": "0.1"}
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "elbo/test")
    assert [(point.step, point.value) for point in history] == [(10, -10.0), (20, -20.0), (30, -30.0)]
