"""Charts of scores: a dot with its error for each model and score, and what each latent tells of each factor."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.evaluation.plots.figures import BRIGHT, FAINT, INK, MUTED, SMALL, TEXT, new_axes, set_title, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray


def score_dots(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Array,
    *,
    groups: Sequence[int] | None = None,
    title: str | None = None,
    ax: Sequence["Axes"] | None = None,
) -> tuple["Figure", Any]:
    """A panel for each score, a row for each model: every seed as a faint dot, their mean and its standard error.

    Args:
        rows: R names of models.
        columns: C names of scores.
        values: [R, C, S] scores of S seeds, NaN where there is none.
        groups: [R] numbers; the rows of a group share a colour, and a rule parts it from the next.
        title: of the whole figure.
        ax: C axes, by default those of a new figure.

    Returns:
        The figure and its C axes.

    Raises:
        ValueError: for another shape of values, groups or ax.

    Example:
        >>> figure, axes = score_dots(["vae", "tc"], ["MIG", "SAP"], np.array([[[0.1], [0.2]], [[0.3], [0.4]]]))
        >>> [ax.get_title(loc="left") for ax in axes]
        ['MIG', 'SAP']
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 3 or values.shape[:2] != (len(rows), len(columns)) or values.size == 0:
        raise ValueError(f"values has shape {values.shape}, expected ({len(rows)}, {len(columns)}, S).")
    groups = [0] * len(rows) if groups is None else list(groups)
    if len(groups) != len(rows):
        raise ValueError(f"groups has {len(groups)} numbers for {len(rows)} rows, expected one for each.")
    height = 0.9 + 0.26 * len(rows)
    panels = np.atleast_1d(new_axes(1.4 + 1.35 * len(columns), height, len(columns))[1] if ax is None else np.array(ax))
    if len(panels) != len(columns):
        raise ValueError(f"ax has {len(panels)} axes, expected {len(columns)}, one for each score.")
    places = np.arange(len(rows))
    for column, (panel, name) in enumerate(zip(panels, columns, strict=True)):
        for row in places:
            seeds = values[row, column][np.isfinite(values[row, column])]
            if len(seeds) == 0:
                continue
            color = BRIGHT[groups[row] % len(BRIGHT)]
            panel.plot(seeds, np.full(len(seeds), row), "o", color=color, alpha=0.3, markersize=3.5, markeredgewidth=0)
            error = seeds.std(ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else 0.0
            panel.errorbar(seeds.mean(), row, xerr=error, fmt="o", color=color, markersize=5.5, elinewidth=1.5)
        style(panel, title=name)
        panel.grid(visible=False, axis="y")
        panel.grid(axis="x", color=FAINT, linewidth=0.8)
        for row in places[1:]:
            if groups[row] != groups[row - 1]:
                panel.axhline(row - 0.5, color=FAINT, linewidth=0.8)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_yticks(places, rows if column == 0 else [""] * len(rows))
        panel.tick_params(axis="y", length=0)
        panel.set_xlim(-0.03, max(1.03, 1.03 * float(np.nanmax(values[:, column]))))
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    figure: Any = panels[0].figure
    if title:
        figure.suptitle(title, fontsize=TEXT + 2, color=INK, x=0.01, ha="left")
    return figure, panels


def information_map(
    information: Array,
    factor_names: Sequence[str],
    *,
    latent_names: Sequence[str] | None = None,
    limits: Array | None = None,
    title: str | None = "Mutual information, nats",
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """What each latent tells of each factor as a grid of shades with the numbers in it: one dark cell a row is ideal.

    Args:
        information: [Z, F] nats, see `jaxvae.evaluation.disentanglement.information_matrix`.
        factor_names: F names.
        latent_names: Z names, by default z[0], z[1], ...
        limits: [F] entropies of the factors; cells are then shaded by the share of its factor that a latent tells.
        title: of the picture.

    Raises:
        ValueError: for another shape, names of another number, or limits that are not F positive numbers.

    Example:
        >>> figure, ax = information_map(np.eye(2), ["shape", "x"])
        >>> ax.get_ylabel()
        'latent'
    """
    table = np.asarray(information, np.float64)
    if table.ndim != 2 or table.shape[1] != len(factor_names) or not np.isfinite(table).all():
        raise ValueError(f"information has shape {table.shape}, expected finite nats (Z, {len(factor_names)}).")
    names = [f"z[{latent}]" for latent in range(len(table))] if latent_names is None else list(latent_names)
    if len(names) != len(table):
        raise ValueError(f"latent_names has {len(names)} names for {len(table)} latents, expected one for each.")
    top = np.full(table.shape[1], max(table.max(), 1e-12)) if limits is None else np.asarray(limits, np.float64)
    if top.shape != table.shape[1:] or not np.all(top > 0):
        raise ValueError(f"limits is {top}, expected {table.shape[1]} positive numbers, the entropy of each factor.")
    if ax is None:
        _, ax = new_axes(1.6 + 0.85 * table.shape[1], 1.0 + 0.34 * len(table))
    shares = table / top
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        color = "white" if shares[row, column] > 0.55 else INK if shares[row, column] > 0.05 else MUTED
        ax.text(column, row, f"{max(value, 0):.2f}", ha="center", va="center", fontsize=SMALL, color=color)
    ax.set_xticks(range(table.shape[1]), factor_names)
    ax.set_yticks(range(len(table)), names)
    ax.tick_params(labelsize=SMALL, length=0, labelcolor=INK)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("factor", fontsize=TEXT, color=INK)
    ax.set_ylabel("latent", fontsize=TEXT, color=INK)
    set_title(ax, title)
    figure: Any = ax.figure
    return figure, ax
