"""Scores of several sets of samples as a table, as JSON, and the features that they need."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jaxvae.evaluation.measured import Measured
    from jaxvae.evaluation.samples.features import Features

FeatureName = Literal["classifier", "pca", "pixels"]
ARROWS = {"lower": "\N{DOWNWARDS ARROW}", "higher": "\N{UPWARDS ARROW}", "near 1": "\N{RIGHTWARDS ARROW}1"}


def make_features(name: FeatureName, data: str, train: tuple[Any, Any], test: tuple[Any, Any], seed: int) -> "Features":
    """The features of that name, from training images on [0, 1] and their labels; a classifier is judged on the test.

    Raises:
        ValueError: for a classifier of data without labels.
    """
    from jaxvae.evaluation.samples.classifiers import classifier_features, train_classifier
    from jaxvae.evaluation.samples.features import pca_features, pixel_features

    if name == "pixels":
        return pixel_features()
    if name == "pca":
        pixels = int(train[0][0].size)
        return pca_features(train[0], min(64, pixels, len(train[0]) - 1))
    if train[1] is None or test[1] is None:
        raise ValueError(f"{data} has no labels, so no classifier can give features. Pass --features pca, or pixels.")
    steps = max(1000, 5 * len(train[0]) // 100)  # at least five passes in batches of 100
    classifier = train_classifier(train[0], train[1], test, seed=seed, steps=steps)
    return classifier_features(classifier, f"classifier of {data}, 64 units")


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
