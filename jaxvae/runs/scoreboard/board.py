"""The board itself: contender after contender trained, scored and kept, so that it goes on after any interruption."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jaxvae.data.splits import some_rows
from jaxvae.evaluation.probes.probes import linear_probe
from jaxvae.evaluation.samples.classifiers import classifier_features, train_classifier
from jaxvae.evaluation.samples.features import flat_pixels
from jaxvae.evaluation.scoreboard.draws import score_draws, strip_of
from jaxvae.evaluation.scoreboard.judged import Judged, as_pictures
from jaxvae.evaluation.scoreboard.records import Standing, cell
from jaxvae.evaluation.scoreboard.scoring import findings, score_model
from jaxvae.files import make_folder, write_json
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten
from jaxvae.runs.held_out import BINARY, HeldOut, load_held_out, load_run_data, setting_of
from jaxvae.runs.scoreboard.beside import scored_draws
from jaxvae.runs.scoreboard.budget import read_object
from jaxvae.runs.scoreboard.contenders import Contender, data_of
from jaxvae.runs.scoreboard.kept import Interrupted, kept_row
from jaxvae.runs.scoreboard.peers.conductor import peer_rows
from jaxvae.runs.scoreboard.ready import Rules, by_density, by_run

BOARD = "board.json"
STEPS, PASSES = 1000, 5


def run_scoreboard(
    rules: Rules,
    contenders: Sequence[Contender],
    workdir: str | Path,
    *,
    drawn: Sequence[str] = (),
    python_peers: str | None = None,
    say: Callable[[str], None] = print,
) -> list[Standing]:
    """Trains and scores the contenders one after the other; the first row is that of real training images.

    A contender that fails has a row that says why, and the others go on. What is finished is read from its folder, and
    a training that was interrupted goes on where it stopped.

    Args:
        rules: of the board.
        contenders: who takes part, see `contenders_of`.
        workdir: the board's folder; a contender lies in workdir/name, a run with its config like any other.
        drawn: .npy files of draws of other programs, which are judged as the contenders' own are, see `scored_draws`.
        python_peers: an interpreter in which other libraries train on the same data, see `peer_rows`.
        say: is given a line for each thing worth saying.

    Raises:
        ValueError: for a folder with a board of other rules. Interrupted: with the signal that ended a training.
    """
    folder = _claimed(Path(workdir), rules)
    train, test = _data(rules)
    judged = _judged(rules, train, test)
    rows = [_real_images(judged)]
    for one in contenders:
        say(f"{one.name}: {one.about}")
        rows.append(_standing(one, rules, judged, test, folder / one.name, say))
    if python_peers is not None:
        rows += peer_rows(python_peers, rules, judged, train.raw, folder, say)
    return rows + [scored_draws(path, judged) for path in drawn]


def _claimed(folder: Path, rules: Rules) -> Path:
    """The board's folder, which keeps its rules; another board's is refused."""
    asked = json.loads(json.dumps({key: value for key, value in rules._asdict().items() if key != "progress"}))
    there = read_object(folder / BOARD)
    differing = [
        f"{key}: {there.get(key)} there, {value} now" for key, value in asked.items() if there.get(key) != value
    ]
    if there and differing:
        raise ValueError(
            f"{folder} holds another board ({'; '.join(differing)}). Choose another --workdir, or ask for that board."
        )
    make_folder(folder)
    write_json(folder / BOARD, asked)
    return folder


def _data(rules: Rules) -> tuple[HeldOut, HeldOut]:
    """Training and test images as all contenders score them: one fixed draw of whole numbers."""
    data = load_run_data(Config(data=data_of(rules.data)), "none").config.data
    return load_held_out(data, data.train_split), load_held_out(data)


def _judged(rules: Rules, train: HeldOut, test: HeldOut) -> Judged:
    levels = 2 if test.protocol in BINARY else data_of(rules.data).levels
    if train.labels is None or test.labels is None:
        raise ValueError(f"{rules.data} has no labels, expected a class of each image for the features.")
    pictures = [as_pictures(part.x, levels) for part in (train, test)]
    steps = max(STEPS, PASSES * len(train.x) // 100)
    classifier = train_classifier(pictures[0], train.labels, (pictures[1], test.labels), seed=rules.seed, steps=steps)
    features = classifier_features(classifier, f"classifier of {rules.data}, 64 units")
    setting = setting_of(data_of(rules.data), test, rules.limit)
    return Judged(
        train.x, test.x, train.labels, test.labels, levels, features, setting, rules.samples, rules.draws
    )  # fmt: skip


def _real_images(judged: Judged) -> Standing:
    """Training images in the place of draws: as good as draws can be, and copies all of them."""
    x = judged.train[some_rows(len(judged.train), judged.draws)]
    cells = score_draws(x, judged)
    count = min(5000, len(judged.train))
    flat = [flat_pixels(as_pictures(part, judged.levels)) for part in (judged.train[:count], judged.test)]
    labels = np.asarray(judged.train_labels)[:count], np.asarray(judged.test_labels)
    probe = linear_probe((flat[0], labels[0]), (flat[1], labels[1]))
    cells["probe"] = cell(probe, f"logistic regression on the pixels of {count} training images")
    return Standing("real", "data", "training images in the place of draws", cells, draws=strip_of(x, judged.levels))


def _standing(
    one: Contender, rules: Rules, judged: Judged, test: HeldOut, folder: Path, say: Callable[[str], None]
) -> Standing:
    """The row of a contender: read, or made and kept."""

    def make(found: Standing) -> Standing:
        ready = by_density(one, rules, judged) if one.fit else by_run(one, rules, judged, test, folder, say)
        if ready.signal:
            raise Interrupted(ready.signal)
        cells, x = score_model(ready.model, ready.params, judged, codes=ready.codes)
        return found._replace(
            columns={**cells, **ready.cells}, notes=findings(cells) + ready.notes, draws=strip_of(x, judged.levels)
        )  # fmt: skip

    return kept_row(Standing(one.name, one.family, one.about), folder, _key(one, rules, judged), make, say)


def _key(one: Contender, rules: Rules, judged: Judged) -> str:
    """What a row was made of: another config, other rules or other data make another row."""
    usual = dict(flatten(Config()))  # options that a later version adds change no row
    config = [] if one.config is None else [pair for pair in flatten(one.config) if pair[1] != usual[pair[0]]]
    own = hashlib.sha256(Path(one.recipe.rpartition(":")[0]).read_bytes()).hexdigest() if one.recipe else ""
    told = [one._replace(config=None), config, own, rules._replace(progress=True), judged.setting]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()
