"""Runs side by side: their numbers on the test images, paired differences, and the values in which they differ."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import shown
from jaxvae.evaluation.bounds.likelihood import TIGHTEST, per_example, sample_counts, tightest
from jaxvae.evaluation.bounds.report import report_rows, which_active
from jaxvae.evaluation.measured import Measured, Setting
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.models.records import Model
from jaxvae.runs.builders.recipe import Make
from jaxvae.runs.choices.data import noun
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten
from jaxvae.runs.configs.serialize import read_config
from jaxvae.runs.folder import run_folder
from jaxvae.runs.held_out import bin_width, load_held_out, setting_of
from jaxvae.runs.loading import load
from jaxvae.runs.tables.columns import in_own_units

# Of `per_example`, with the sign in which a report has it.
PAIRED = {"log_p": ("-log p", -1), "elbo": ("-ELBO", -1), "iwae": ("-IW-{samples}", -1)}
PAIRED |= {"kl": ("rate", 1), "log_likelihood": ("distortion", -1)}
MEANS = {"integers": "a probability", "real": "a density"}  # what log p(x | z) is of, by the values that x takes
UNLIKE = ("progress", "parallel", "data.resident")  # fields that make no other run


class Opened(NamedTuple):
    """A run and what was measured of it, an entry of the arrays for each test image."""

    name: str
    model: Model
    config: Config
    setting: Setting
    values: dict[str, np.ndarray]
    rows: list[Measured]


class Comparison(NamedTuple):
    """What `compare_runs` finds.

    Attributes:
        rows: {run: its numbers}, as `evaluate` gives them.
        differences: {run: how much larger its numbers are than those of the first run, image by image}, for those that
            can be compared; of -log p, -ELBO and their like less is better.
        apart: {run: why it cannot}, in a sentence.
        fields: {field of the config: its value in each run}, of those in which the runs differ.
        noun: what an example of the first run is called, "image" or "row".
    """

    rows: dict[str, list[Measured]]
    differences: dict[str, list[Measured]]
    apart: dict[str, str]
    fields: dict[str, tuple[Any, ...]]
    noun: str


def compare_runs(
    workdirs: Sequence[str | Path],
    *,
    samples: int = 50,
    limit: int | None = None,
    allow_changes: bool = False,
    recipe: Make | str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    r"""Measures runs on the same test images and pairs what they give for each of them.

    difference = mean_n (b_n - a_n),  standard error = s(b_n - a_n) / sqrt(N)

    Which test images are hard is common to all runs and drops out of b_n - a_n, so that the error of a difference is
    far below those of its parts. What the seed of a training does is no part of it: a claim about methods takes runs of
    several seeds.

    Args:
        workdirs: two or more run folders; the first is what the others are compared with.
        samples: K of the importance-weighted bound.
        limit: only so many test images, picked by a fixed permutation.
        allow_changes: as in `load`.
        recipe: the same, for those of the runs that a function of your own made.
        progress: called with the number of images done, over all runs.

    Raises:
        ValueError, TypeError, FileNotFoundError: for fewer than two runs, one given twice, and as `load`.

    Example:
        >>> compare_runs(["runs/a"])
        Traceback (most recent call last):
        ValueError: workdirs is ['runs/a'] (list), expected two or more run folders, as in ['runs/a', 'runs/b'].
    """
    if isinstance(workdirs, str | Path) or len(workdirs) < 2:
        raise ValueError(
            f"workdirs is {shown(workdirs)}, expected two or more run folders, as in ['runs/a', 'runs/b']."
        )
    names = [str(workdir) for workdir in workdirs]
    if len({Path(name).resolve() for name in names}) < len(names):
        raise ValueError(f"workdirs is {shown(names)}, expected each run once.")
    done, opened = 0, []
    for name in names:
        started = done

        def told(count: int, started: int = started) -> None:
            if progress is not None:
                progress(started + count)

        own = read_config(run_folder.find(name) / run_folder.CONFIG).recipe.name is not None
        opened.append(_open(name, samples, limit, allow_changes, recipe if own else None, told))
        done += opened[-1].setting.examples
    first, *others = opened
    apart = {run.name: why for run in others if (why := _apart(first, run))}
    configs = [dict(flatten(run.config)) for run in opened]
    values = {field: tuple(config[field] for config in configs) for field in configs[0] if field not in UNLIKE}
    return Comparison(
        {run.name: run.rows for run in opened},
        {run.name: _differences(first, run, samples) for run in others if run.name not in apart},
        apart,
        {field: found for field, found in values.items() if any(value != found[0] for value in found)},
        noun(first.config.data.kind),
    )


def _open(
    name: str,
    samples: int,
    limit: int | None,
    allow_changes: bool,
    recipe: Make | str | None,
    progress: Callable[[int], None],
) -> Opened:
    model, params, config = load(name, allow_changes=allow_changes, recipe=recipe)
    test = load_held_out(config.data, allow_changes=allow_changes)
    setting = setting_of(config.data, test, limit)
    counts = sample_counts(1 if model.evidence in ("exact", "none") else samples)
    x = test.some(setting.examples).given(model)
    values = per_example(model, params, jax.random.key(setting.seed), x, samples=counts, progress=progress)
    active = which_active(model, params, x)
    rows = report_rows(model, values, setting, counts=counts, bin_width=bin_width(config), active=active)
    return Opened(name, model, config, setting, values, in_own_units(rows, test.columns))


def _apart(first: Opened, other: Opened) -> str:
    """Why the numbers of two runs cannot be compared image by image, or ""."""
    a, b = first.setting, other.setting
    if (a.sha256, a.examples) != (b.sha256, b.examples):
        return (
            f"{other.name} was measured on other test data than {first.name}, so that no difference means anything: "
            f"{b} there, {a} here."
        )
    told = [run.model.context is not None and not run.model.context.optional for run in (first, other)]
    if told[0] != told[1]:
        one, two = (other, first) if told[1] else (first, other)
        return (
            f"{one.name} is told the class and bounds log p(x | class), {two.name} log p(x): their nats are not alike."
        )
    supports = [run.model.likelihood.support for run in (first, other)]
    kinds = [MEANS.get(support, f"of {support} values") for support in supports]
    if kinds[0] != kinds[1]:
        return (
            f"The likelihood of {other.name} is {kinds[1]}, that of {first.name} {kinds[0]}: their nats are not alike."
        )
    return ""


def _differences(first: Opened, other: Opened, samples: int) -> list[Measured]:
    """Of everything that both have; and of the nearest to log p(x) that each has, where that is not the same."""
    found = [
        _paired(name.format(samples=samples), sign * first.values[key], sign * other.values[key], first)
        for key, (name, sign) in PAIRED.items()
        if key in first.values and key in other.values
    ]
    near = [next((name for name in TIGHTEST if name in run.values), None) for run in (first, other)]
    a, b = tightest(first.values), tightest(other.values)
    if near[0] != near[1] and a is not None and b is not None:
        kinds = [TIGHTEST[name] for name in near if name is not None]
        found.insert(0, _paired(f"-log p ({kinds[1]} less {kinds[0]})", -a, -b, first))
    return found


def _paired(name: str, a: np.ndarray, b: np.ndarray, first: Opened) -> Measured:
    one = noun(first.config.data.kind)
    setting = first.setting._replace(samples=f"{one} by {one} against {first.name}")
    return Measured(name, mean_and_error(np.float64(b) - np.float64(a)), "nats", setting)
