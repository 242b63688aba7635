"""Scores of several sets of samples as a table, as JSON, and the features that they need."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jaxvae.evaluation.samples.features import Features
    from jaxvae.evaluation.samples.scores import Score

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


def print_scores(rows: Mapping[str, Sequence["Score"]], title: str) -> None:
    """A column for each set of samples; the setting, one for all but for the name, stands above and below."""
    from rich.console import Console
    from rich.table import Table

    from jaxvae.evaluation.samples.scores import significant

    console = Console(width=118)
    first = next(iter(rows.values()))
    setting = first[0].setting
    table = Table("score", *rows, title=f"{title}\nfeatures: {setting.features}")
    for column in table.columns[1:]:
        column.justify = "right"
    for position, score in enumerate(first):
        found = [scores[position] for scores in rows.values()]
        numbers = [one.number.replace("+-", "\N{PLUS-MINUS SIGN}") for one in found]
        table.add_row(f"{score.name} {ARROWS[score.better]}", *numbers)
        if any(one.bias for one in found):
            table.add_row("  of which bias", *(significant(one.bias, one.standard_error) for one in found))
    console.print(table)
    counts = f"{setting.samples} samples a column against {setting.references} of {setting.reference}"
    console.print(f"{counts}, seed {setting.seed}; \N{PLUS-MINUS SIGN} is one standard error", highlight=False)


def write_scores(path: Path, tables: Mapping[str, Mapping[str, Sequence["Score"]]], **more: Any) -> None:
    """{features: {samples: [scores]}} with every setting, as JSON, and what else should be kept."""
    from jaxvae.files import make_folder, write_json

    found = {
        features: {name: [_as_dict(score) for score in scores] for name, scores in rows.items()}
        for features, rows in tables.items()
    }
    make_folder(path.parent)
    write_json(path, {**more, "scores": found})
    print(path)


def _as_dict(score: "Score") -> dict[str, Any]:
    error = score.standard_error if score.standard_error >= 0 else None  # JSON has no NaN
    return score._asdict() | {"standard_error": error, "setting": score.setting._asdict()}
