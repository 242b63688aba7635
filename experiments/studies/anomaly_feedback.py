"""Outliers fed back into training: found among the training images by a score, then left out, or pushed away."""

from collections.abc import Mapping
from typing import Any

from experiments.studies.anomaly_data import Images, load_kind, mixed
from experiments.studies.anomaly_models import LABELS, AnomalyOptions, build, scores_of, trained

FINDER = "squared_error"  # the score that finds the outliers among the training images
JUDGES = ("negative_elbo", "squared_error", "complexity_ratio")


def feedback(options: AnomalyOptions, inliers: str, outliers: str, kinds: Mapping[str, Images]) -> dict[str, Any]:
    """Trains on inliers with some outliers among them, and again with the found ones fed back; prints a table.

    The training images as they are; without those that `FINDER` ranks highest, as many as there are outliers; with
    these as the outliers of a margin loss, right or wrong; and with only the right ones, as a person who looks at them
    would sort them, the others being put back. The test images of a third kind were never seen in any training.
    """
    import numpy as np

    from jaxvae.evaluation.anomaly.roc import auroc_interval

    images, is_outlier = mixed(kinds[inliers].train, kinds[outliers].train, options.share, options.seed)
    unseen = next(name for name in ("shapes", "noise") if name not in (inliers, outliers))
    tests = {name: kinds[name].test for name in (inliers, outliers)}
    tests[unseen] = load_kind(unseen, 1, options.test, images.shape[1], options.seed).test

    model = build(options, images)
    before = trained(options, model, images)
    ranked = np.argsort(-scores_of(options, model, before[0], images, images)[FINDER])
    chosen = ranked[: int(is_outlier.sum())]
    right = chosen[is_outlier[chosen]]
    cleaned, checked = np.delete(images, chosen, axis=0), np.delete(images, right, axis=0)
    runs = {"as they are": before, "found ones left out": trained(options, model, cleaned)}
    runs["found ones pushed away"] = trained(options, model, cleaned, images[chosen])
    if len(right):
        runs["found, checked, pushed away"] = trained(options, model, checked, images[right])
    table: dict[str, Any] = {}
    for name, (params, _) in runs.items():
        scores = {kind: scores_of(options, model, params, part, cleaned) for kind, part in tests.items()}
        table[name] = {"inliers_negative_elbo": float(np.mean(scores[inliers]["negative_elbo"]))}
        for kind in (outliers, unseen):
            for judge in JUDGES:
                area = auroc_interval(scores[inliers][judge], scores[kind][judge])
                table[name][f"{kind} {judge}"] = list(area)
    setting = (
        f"{len(images)} training images, {len(chosen)} of them {outliers} among {inliers}; of as many found by "
        f"{FINDER}, {len(right)} are"
    )
    show(setting, table, outliers, unseen)
    return {"setting": setting, "outliers": len(chosen), "found": len(right), "models": table}


def show(setting: str, table: Mapping[str, Any], outliers: str, unseen: str) -> None:
    """Prints a row for each model."""
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number, written

    columns = [(outliers, judge) for judge in JUDGES] + [(unseen, "negative_elbo"), (unseen, "complexity_ratio")]
    names = [f"{LABELS['negative_elbo']} of inliers", *(f"{kind}, {LABELS[judge]}" for kind, judge in columns)]
    rows = []
    for name, row in table.items():
        areas = (row[f"{kind} {judge}"] for kind, judge in columns)
        cells = (
            written(f"{value:.3f} \N{PLUS-MINUS SIGN} {(high - low) / 2:.3f}", value, low=low, high=high)
            for value, low, high in areas
        )
        rows.append((name, number(row["inliers_negative_elbo"], ".0f", "nats"), *cells))
    caption = "AUROC against test inliers, \N{PLUS-MINUS SIGN} half of its 95 % interval; one model a row"
    print_table(setting, ("training images", *names), rows, caption)
