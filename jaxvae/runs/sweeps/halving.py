"""Successive halving: at stated epochs, the points of a sweep that are worst on the validation images stop.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016,
arXiv:1502.07970). Where seeds are varied, a point is all of its seeds: it goes on or stops as one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvae.runs.configs.config import Config
from jaxvae.runs.sweeps.grid import Grid, Member


class Rung(NamedTuple):
    """An epoch after which points stop.

    Attributes:
        epoch: after which.
        keep: how many points go on.
    """

    epoch: int
    keep: int


def rungs_of(points: int, epochs: int, factor: int) -> list[Rung]:
    """Keeps one of `factor` points, rounded up, at each rung, down to one; each stage is `factor` times the last.

    Raises:
        ValueError: for fewer epochs than the stages need.

    Example:
        >>> rungs_of(9, 27, 3)
        [Rung(epoch=3, keep=3), Rung(epoch=9, keep=1)]
        >>> rungs_of(8, 20, 2)
        [Rung(epoch=2, keep=4), Rung(epoch=5, keep=2), Rung(epoch=10, keep=1)]
    """
    kept = []
    while points > 1:
        points = -(-points // factor)
        kept.append(points)
    if epochs < factor ** len(kept):
        raise ValueError(
            f"halving by {factor} down to one point has {len(kept)} rungs, which need at least "
            f"{factor ** len(kept)} epochs, but epochs is {epochs}. Set --epochs {factor ** len(kept)}, or a larger "
            f"--halving."
        )
    return [Rung(epochs // factor ** (len(kept) - index), keep) for index, keep in enumerate(kept)]


def check_halving(factor: object, config: Config, grid: Grid) -> int:
    """The factor.

    Raises:
        TypeError, ValueError: for no whole number of at least 2; without validation images; and where the points could
            not be compared.
    """
    if isinstance(factor, bool) or not isinstance(factor, int) or factor < 2:
        raise ValueError(f"halving is {factor!r}, expected a whole number of at least 2: one point of so many goes on.")
    if not config.validation_fraction:
        raise ValueError(
            "halving compares members on validation images, but there are none: set --validation-fraction 0.1."
        )
    for path in grid:
        if path == "model.likelihood" or path.startswith("data.") or path == "validation_fraction":
            raise ValueError(f"{path} is varied, and nats of other images or likelihoods cannot be halved by. Fix it.")
    return factor


Ranked = list[tuple[float, list[Member]]]


def points_in(members: Sequence[Member]) -> list[list[Member]]:
    """What goes on or stops as one: the members that differ in the seed alone, or each where nothing else is varied."""
    points: dict[Any, list[Member]] = {}
    for member in members:
        rest = tuple(item for item in member.values.items() if item[0] != "seed")
        points.setdefault(rest or member.name, []).append(member)
    return list(points.values())


def ranked(members: Sequence[Member], nats: Mapping[str, float]) -> Ranked:
    """(mean of the validation nats over seeds, the members of a point), the best first.

    Args:
        members: those that are in the race.
        nats: {name: nats per validation example, less is better}; one that is not there has diverged, and its point
            comes last.

    Example:
        >>> from jaxvae.runs.sweeps.grid import members_of
        >>> members = members_of(Config(), {"objective.beta": (1, 4), "seed": range(2)})
        >>> nats = {"beta=1,seed=0": 5.0, "beta=1,seed=1": 7.0, "beta=4,seed=0": 4.0}
        >>> [(value, [member.name for member in some]) for value, some in ranked(members, nats)]
        [(6.0, ['beta=1,seed=0', 'beta=1,seed=1']), (inf, ['beta=4,seed=0', 'beta=4,seed=1'])]
    """
    scored = [(float(np.mean([nats.get(m.name, np.inf) for m in some])), some) for some in points_in(members)]
    return sorted(scored, key=lambda pair: pair[0])  # of equal ones the first of the grid


def rung_record(rung: Rung, order: Ranked, nats: Mapping[str, float]) -> dict[str, Any]:
    """What sweep.json keeps of a rung: the epoch, and {name: nats, None if it diverged} of both sides."""
    said = {name: value for name, value in nats.items() if np.isfinite(value)}
    kept, dropped = ([m.name for _, some in part for m in some] for part in (order[: rung.keep], order[rung.keep :]))
    sides = {"kept": kept, "dropped": dropped}
    return {"epoch": rung.epoch, **{side: {name: said.get(name) for name in names} for side, names in sides.items()}}


def in_words(rung: Rung, order: Ranked) -> str:
    """A line about who goes on."""
    best, last, next_one = order[0], order[rung.keep - 1], order[rung.keep]
    kept = f"{best[0]:.2f}" if rung.keep == 1 else f"{best[0]:.2f} to {last[0]:.2f}"
    return (
        f"After epoch {rung.epoch} {rung.keep} of {len(order)} points go on, with {kept} nats on the validation images "
        f"(best: {best[1][0].name}); the best of those left behind has {next_one[0]:.2f}."
    )


def left_behind(record: Mapping[str, Any], members: Sequence[Member]) -> list[tuple[int, float, list[Member]]]:
    """(after which epoch, mean of the nats over seeds, members of the point), those that went farthest first."""
    found = []
    for rung in record["rungs"]:
        gone = [member for member in members if member.name in rung["dropped"]]
        nats = {name: value for name, value in rung["dropped"].items() if value is not None}
        found += [(rung["epoch"], value, some) for value, some in ranked(gone, nats)]
    return sorted(found, key=lambda row: (-row[0], row[1]))
