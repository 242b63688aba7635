"""Scores of several sets of samples as a table, as JSON, and the features that they need."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from jaxvae.evaluation.measured import Measured
    from jaxvae.evaluation.samples.features import Features

FeatureName = Literal["classifier", "pca", "pixels"]
LARGE = 1024  # numbers of a picture: principal components of larger ones are those of 2,000 pictures
ARROWS = {"lower": "\N{DOWNWARDS ARROW}", "higher": "\N{UPWARDS ARROW}", "near 1": "\N{RIGHTWARDS ARROW}1"}


def make_features(
    name: str, data: str, train: tuple[Any, Any], test: tuple[Any, Any], seed: int, keep: Path | None = None
) -> "Features":
    """The features of that name, from training images on [0, 1] and their labels; a classifier is judged on the test.

    Of pictures in colour it has convolutions, 32 and 64 channels of stride 2. A name that ends in .npz is the file of a
    network's weights, see `read_features`, and FILE.py:FUNCTION a function of images [N, H, W, C] on [0, 1].

    Args:
        keep: where a classifier that is trained is written, to judge other runs; None: nowhere.

    Raises:
        ValueError: for a classifier of data without labels, or another name.
    """
    from jaxvae.data.splits import some_rows
    from jaxvae.evaluation.samples.classifiers import Rectified, classifier_features, train_classifier
    from jaxvae.evaluation.samples.feature_files import read_features, write_features
    from jaxvae.evaluation.samples.features import pca_features, pixel_features
    from jaxvae.networks.deterministic import ConvDeterministicEncoder
    from jaxvae.runs.configs.names import show
    from jaxvae.runs.configs.recipes import is_function_name

    if name.endswith(".npz"):
        return read_features(name)
    if is_function_name(name):
        return _own_features(name)
    if name not in get_args(FeatureName):
        raise ValueError(
            f"features is {show(name)}, expected {', '.join(get_args(FeatureName))}, a file of weights (.npz) or "
            f"FILE.py:FUNCTION, which makes vectors [N, F] of images [N, H, W, C] on [0, 1]."
        )
    if name == "pixels":
        return pixel_features()
    if name == "pca":
        pixels = int(train[0][0].size)
        few = train[0][some_rows(len(train[0]), len(train[0]) if pixels <= LARGE else 2000)]
        return pca_features(few, min(64, pixels, len(few) - 1))
    if train[1] is None or test[1] is None:
        raise ValueError(f"{data} has no labels, so no classifier can give features. Pass --features pca, or pixels.")
    steps = max(1000, 5 * len(train[0]) // 100)  # at least five passes in batches of 100
    colour = train[0].shape[-1] == 3 and not any(side % 4 for side in train[0].shape[1:3])
    network = Rectified(ConvDeterministicEncoder(64)) if colour else None
    classifier = train_classifier(train[0], train[1], test, seed=seed, steps=steps, network=network)
    kind = "convolutional classifier" if colour else "classifier"
    found = classifier_features(classifier, f"{kind} of {data}, 64 units")
    if keep is not None:
        write_features(keep, classifier, f"{found.name}, {found.note}")
    return found


def _own_features(name: str) -> "Features":
    """FILE.py:FUNCTION as features, named with the digest of its file."""
    import hashlib

    import numpy as np

    from jaxvae.evaluation.samples.features import Features
    from jaxvae.runs.configs.recipes import import_function

    function, file = import_function(name), Path(name.rpartition(":")[0]).expanduser()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]

    def vectors(images: Any) -> Any:
        found = np.asarray(function(images))
        if found.ndim != 2 or len(found) != len(images):
            raise ValueError(f"{name} made features of shape {found.shape}, expected ({len(images)}, F).")
        return found

    return Features(f"{name.rpartition(':')[2]} of {file.name} (sha256 {digest})", vectors)


def print_scores(rows: Mapping[str, Sequence["Measured"]], title: str) -> None:
    """A column for each set of samples; the setting, one for all but for the name, stands above and below.

    Below it stands too which of them have collapsed, in words.
    """
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.samples.variety import collapse_in_words
    from jaxvae.evaluation.written import written

    first = next(iter(rows.values()))
    setting, lines = first[0].setting, []
    for position, score in enumerate(first):
        found = [scores[position] for scores in rows.values()]
        lines.append((f"{score.name} {ARROWS[score.better]}", *found))
        if any(one.bias for one in found):
            lines.append(("  estimated bias", *(written(one.bias_text, one.bias) for one in found)))
    counts = f"{setting.samples} samples a column against {setting.references} of {setting.reference}"
    caption = f"{counts}, seed {setting.seed}; \N{PLUS-MINUS SIGN} is one standard error"
    remarks = {one.name: one.remark for scores in rows.values() for one in scores if one.remark}
    remarks |= {label: words for label, scores in rows.items() if (words := collapse_in_words(scores))}
    caption += "".join(f"\n{name}: {remark}" for name, remark in remarks.items())
    print_table(f"{title}\nfeatures: {setting.features}", ("score", *rows), lines, caption)


def write_scores(path: Path, tables: Mapping[str, Mapping[str, Sequence["Measured"]]], **more: Any) -> None:
    """{features: {samples: [scores]}} with every setting, as JSON, and what else should be kept."""
    from jaxvae.files import make_folder, write_json

    found = {
        features: {name: [_as_dict(score) for score in scores] for name, scores in rows.items()}
        for features, rows in tables.items()
    }
    make_folder(path.parent)
    write_json(path, {**more, "scores": found})
    print(path)


def _as_dict(score: "Measured") -> dict[str, Any]:
    value, error, _ = score.estimate
    numbers = {"value": value, "standard_error": error if error >= 0 else None}  # JSON has no NaN
    return {
        "name": score.name,
        **numbers,
        "better": score.better,
        "setting": score.setting._asdict(),
        "bias": score.bias,
    }
