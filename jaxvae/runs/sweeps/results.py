"""What a sweep found: a row a member, means over seeds with their errors, and which member is best."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvae.evaluation.statistics import Estimate, mean_and_error
from jaxvae.files import read_bytes
from jaxvae.runs.configs.fields import words
from jaxvae.runs.folder.run_folder import MEMBERS, SUMMARY
from jaxvae.runs.sweeps.grid import Member, short_names

# Of what summary.json holds, what a sweep is judged by: the first that is there. Less is better.
JUDGED = {"negative_log_p": "-log p", "negative_elbo": "-ELBO", "reconstruction": "reconstruction"}


class Result(NamedTuple):
    """One member that is done.

    Attributes:
        name, values: of the member.
        test: the judged number on the test images, nats per example, with its error over them.
        validation: the number that chose the member's epoch, less is better; None without validation images.
        epochs: how many it trained.
    """

    name: str
    values: Mapping[str, Any]
    test: Estimate
    validation: float | None
    epochs: float


class Point(NamedTuple):
    """Members that differ in the seed alone.

    Attributes:
        values: all but the seed.
        estimate: mean over seeds, and its error over them; of one seed its own, over the test images.
        seeds: how many.
        more: how much more than the best point, seed by seed; None for the best one, or where seeds differ.
    """

    values: Mapping[str, Any]
    estimate: Estimate
    seeds: int
    more: Estimate | None


def results_of(folder: Path, members: Sequence[Member]) -> tuple[str, list[Result]]:
    """What the numbers are, and those of the members that are done; summaries without such a number are left out.

    It is "" where they are not alike: of other test images, of other likelihoods, or a bound beside an exact number.
    """
    judged, found = set(), []
    for member in members:
        path = folder / MEMBERS / member.name / SUMMARY
        if not path.is_file():
            continue
        summary = json.loads(read_bytes(path))
        name = next((name for name in JUDGED if name in summary["test"]), None)
        if name is None:
            continue
        test, chosen = summary["test"], summary.get("validation", {})
        judged.add((JUDGED[name], test["sha256"], member.config.model.likelihood))
        estimate = Estimate(test[name]["nats"], test[name]["standard_error"], test["images"])
        found.append(Result(member.name, member.values, estimate, chosen.get("nats"), summary["epochs"]))
    return (next(iter(judged))[0] if len(judged) == 1 else ""), found


def points_of(results: Sequence[Result]) -> list[Point]:
    """Means over seeds, the best point first.

    Example:
        >>> rows = [("a", 1, 0, 5.0), ("b", 1, 1, 7.0), ("c", 2, 0, 6.0), ("d", 2, 1, 10.0)]
        >>> results = [Result(n, {"beta": b, "seed": s}, Estimate(v, 0.1, 9), None, 1.0) for n, b, s, v in rows]
        >>> [(point.values, point.estimate.mean, point.seeds) for point in points_of(results)]
        [({'beta': 1}, 6.0, 2), ({'beta': 2}, 8.0, 2)]
        >>> points_of(results)[1].more[:2]
        (2.0, 1.0)
    """
    grouped: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        grouped.setdefault(tuple(_without_seed(result).items()), []).append(result)
    ranked = sorted(grouped.items(), key=lambda item: np.mean([result.test.mean for result in item[1]]))
    points: list[Point] = []
    for rest, group in ranked:
        apart = None if not points else _apart(ranked[0][1], group)
        points.append(Point(dict(rest), _over_seeds(group), len(group), apart))
    return points


def lines_of(results: Sequence[Result], path: str) -> dict[str, tuple[list[float], list[Estimate]]] | None:
    """Of a field whose values are numbers: {the other values: (its values, the estimates)}; None where it is none."""
    points = points_of(results)
    values = {point.values.get(path) for point in points}
    if len(values) < 2 or not all(isinstance(value, int | float) for value in values):
        return None
    lines: dict[str, tuple[list[float], list[Estimate]]] = {}
    for point in sorted(points, key=lambda point: point.values[path]):
        rest = in_words({name: value for name, value in point.values.items() if name != path})
        xs, ys = lines.setdefault(rest, ([], []))
        xs.append(float(point.values[path]))
        ys.append(point.estimate)
    return lines


def _over_seeds(group: Sequence[Result]) -> Estimate:
    values = np.array([result.test.mean for result in group])
    return group[0].test if len(values) == 1 else mean_and_error(values)


def _apart(best: Sequence[Result], other: Sequence[Result]) -> Estimate | None:
    """How much more the other is than the best, seed by seed; None unless at least two seeds are common."""
    first, second = ({result.values.get("seed"): result.test.mean for result in group} for group in (best, other))
    common = [seed for seed in first if seed in second]
    return None if len(common) < 2 else mean_and_error([second[seed] - first[seed] for seed in common])


def best_in_words(results: Sequence[Result], judged: str, behind: int = 0) -> str:
    """The best point, all seeds of it taken together, how it was chosen, and what that does to its number.

    Args:
        results: those that are done.
        judged: what their numbers are.
        behind: how many more points halving left behind.
    """
    points = points_of(results)
    count = len(points) + behind
    of = "" if len(results) == len(points) else ", means over seeds"
    chosen: dict[str, list[float]] = {}
    for result in results:
        if result.validation is not None:
            chosen.setdefault(in_words(_without_seed(result)), []).append(result.validation)
    if len(results) == sum(map(len, chosen.values())):
        best = min(points, key=lambda point: np.mean(chosen[in_words(point.values)]))
        return (
            f"Best of {count} by the validation images{of}: {in_words(best.values)}, test {judged} "
            f"{best.estimate.text()} nats."
        )
    best = points[0]
    return (
        f"Best of {count}{of}: {in_words(best.values)}, {judged} {best.estimate.text()} nats, chosen by the very "
        f"test images, so that the number is flattered. --validation-fraction 0.1 lets other images choose."
    )


def _without_seed(result: Result) -> dict[str, Any]:
    return {path: value for path, value in result.values.items() if path != "seed"}


def rows_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The same in long form, for JSON and data frames."""
    return [
        {
            "name": result.name,
            **result.values,
            "nats": result.test.mean,
            "standard_error": result.test.standard_error,
            "validation_nats": result.validation,
            "epochs": result.epochs,
        }
        for result in results
    ]


def in_words(values: Mapping[str, Any]) -> str:
    """The values of a point, such as "beta 4, lr 0.001"."""
    names = short_names(list(values))
    return ", ".join(f"{names[path]} {words(value)}" for path, value in values.items()) or "all seeds"
