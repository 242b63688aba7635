"""Charts of rates: the curve of rate against distortion, and the KL of each latent over training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.checks import finite_number
from jaxvae.evaluation.plots.figures import (
    BLUE,
    BRIGHT,
    FAINT,
    GREY,
    INK,
    MUTED,
    ORANGE,
    SMALL,
    WIDTH,
    new_axes,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = Sequence[float] | np.ndarray
DARK, PALE = "#0b3d6e", "#b9d8f2"


def rate_distortion_curve(
    rate: Values,
    distortion: Values,
    labels: Sequence[str],
    *,
    errors: tuple[Values, Values] | None = None,
    entropy: float | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """Distortion against rate, a point for each model, and the lines on which -ELBO = R + D is constant.

    The thick line is that of the best -ELBO; no model of the curve lies below it. With the entropy H of the data
    known, no model at all lies below R + D = H.

    Args:
        rate: [M] nats. distortion: [M] nats.
        labels: M words beside the points, such as the beta of each.
        errors: standard errors of both, [M] each.
        entropy: H of the data in nats, drawn as a line too.
        title: by default the best -ELBO and which point has it.

    Raises:
        ValueError: for values of different length, none, or not finite.

    Source: Alemi et al., 2018, arXiv 1711.00464, figure 1.

    Example:
        >>> figure, ax = rate_distortion_curve([0.0, 5.0], [20.0, 8.0], ["10", "1"])
        >>> ax.get_title(loc="left")
        'Best −ELBO: 13.0 nats, at 1'
    """
    rate, distortion = np.asarray(rate, np.float64), np.asarray(distortion, np.float64)
    if rate.ndim != 1 or rate.size == 0 or distortion.shape != rate.shape or len(labels) != len(rate):
        raise ValueError(
            f"rate has shape {rate.shape}, distortion {distortion.shape} and there are {len(labels)} labels, expected "
            f"one of each for every model."
        )
    if not np.isfinite([rate, distortion]).all():
        raise ValueError("rate or distortion has values that are not finite, expected nats.")
    if ax is None:
        _, ax = new_axes(WIDTH * 0.8, 4.4)
    total = rate + distortion
    best = int(total.argmin())
    right, top = 1.12 * max(rate.max(), 1e-3), 1.1 * distortion.max()
    low = min(0.0, distortion.min())
    for value in np.linspace(total[best], max(total.max(), total[best] + 1), 4)[1:]:
        ax.plot([0, value - low], [value, low], color=FAINT, linewidth=1, zorder=1)
    ax.plot([0, total[best] - low], [total[best], low], color=ORANGE, linewidth=1.8, zorder=2)
    if entropy is not None:
        ax.plot([0, entropy - low], [entropy, low], color=MUTED, linewidth=1.3, linestyle=(0, (4, 3)), zorder=2)
    order = np.argsort(rate)
    ax.plot(rate[order], distortion[order], color=BLUE, linewidth=1.2, alpha=0.6, zorder=3)
    x_error, y_error = (None, None) if errors is None else errors
    ax.errorbar(rate, distortion, y_error, x_error, fmt="o", color=BLUE, markersize=5, zorder=4)
    for x, y, label in zip(rate, distortion, labels, strict=True):
        ax.annotate(label, (x, y), (6, 5), textcoords="offset points", fontsize=SMALL, color=INK, zorder=5)
    ax.set_xlim(-0.02 * right, right)
    ax.set_ylim(low - 0.02 * top, top)
    words = [(f"R + D = {total[best]:.1f}, the best", ORANGE)]
    words += [] if entropy is None else [(f"R + D = {entropy:.1f}, the entropy of the data", MUTED)]
    for line, (text, color) in enumerate(words):
        where: Any = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "top"}
        ax.annotate(text, (1, 1), (-2, -4 - 14 * line), **where, fontsize=SMALL, color=color, weight="bold")
    default = f"Best \N{MINUS SIGN}ELBO: {total[best]:.1f} nats, at {labels[best]}"
    style(ax, title=title or default, x="rate, nats per example", y="distortion, nats per example")
    ax.grid(visible=False)
    figure: Any = ax.figure
    return figure, ax


def kl_over_training(
    records: Sequence[Mapping[str, Any]],
    *,
    x: str = "epoch",
    latents: int | None = None,
    threshold: float = 0.01,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """The KL of each latent over training: which ones came to carry something, when, and which never did.

    Args:
        records: in order, as `metrics.jsonl` holds them, each with `x` and kl_per_latent; others are skipped.
        x: what the horizontal axis counts: "epoch" or "step".
        latents: Z, where the KL may be one number for all of them: see `kl_per_latent`.
        threshold: nats; latents that end below it are grey. More of the others than there are colours are blue, the
            darker the stronger.
        title: by default how many ended above the threshold.

    Raises:
        ValueError: if no record can be drawn.

    Example:
        >>> records = [{"epoch": 1, "kl_per_latent": [0.1, 0.0]}, {"epoch": 2, "kl_per_latent": [2.0, 0.0]}]
        >>> kl_over_training(records)[1].get_title(loc="left")
        '1 of 2 latents above 0.01 nats at the end'
    """
    finite_number("threshold", threshold)
    places, kl = _kl_rows(records, x)
    if ax is None:
        _, ax = new_axes(WIDTH, 3.4)
    order = np.argsort(-kl[-1], kind="stable")
    active = int((kl[-1] > threshold).sum())
    for rank, latent in list(enumerate(order))[::-1]:  # the strongest last, on top
        used = rank < active
        color = GREY if not used else BRIGHT[rank] if active <= len(BRIGHT) else _shade(rank / (active - 1))
        mark = "o" if len(places) == 1 else ""
        ax.plot(places, kl[:, latent], color=color, linewidth=1.4 if used else 0.9, marker=mark, markersize=3.5)
    together = kl.shape[1] == 1 and latents is not None and latents > 1
    for text, height in [] if together else _apart(kl[-1, order[: min(active, 8)]], order, kl.max()):
        where: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        ax.annotate(text, (1.0, height), (4, -3), **where, fontsize=SMALL, color=MUTED, annotation_clip=False)
    ax.set_ylim(0, max(1.05 * kl.max(), threshold))
    summary = f"{active} of {kl.shape[1]} latents above {threshold:g} nats at the end"
    if together:
        summary = f"KL of all {latents} latents together: {kl[-1, 0]:.1f} nats at the end"
    style(ax, title=title or summary, x=x, y="KL, nats per example")
    figure: Any = ax.figure
    return figure, ax


def _shade(share: float) -> str:
    """From dark blue at 0 to pale blue at 1: an order that lightness alone tells, where there are too many colours."""
    dark, pale = (np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) for color in (DARK, PALE))
    return "#" + "".join(f"{round(value):02x}" for value in dark + share * (pale - dark))


def _apart(heights: np.ndarray, order: np.ndarray, top: float) -> list[tuple[str, float]]:
    """(names, height) of labels at the ends of lines, from the top; names whose lines end together share a label."""
    kept: list[tuple[str, float]] = []
    for latent, height in zip(order, heights, strict=False):
        if kept and kept[-1][1] - height < 0.05 * top:
            text, first = kept[-1]
            kept[-1] = (f"{text}, {latent}" if text.count(",") < 2 else text, first)
        else:
            kept.append((f"z {latent}", float(height)))
    return kept


def kl_of_groups(
    records: Sequence[Mapping[str, Any]], *, x: str = "epoch", title: str | None = None, ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """The KL of each group of a hierarchy over training as a map: a row for each, the top of the hierarchy above.

    Colours go by the logarithm, from 0.01 nats on: of fifty groups a few carry nearly all, and the others matter too.

    Args:
        records: as `kl_over_training` takes them; `kl_per_latent` begins with the group next to x.
        x: what the horizontal axis counts: "epoch" or "step".
        title: by default what all groups carry at the end, and how many more than a tenth of a nat.

    Raises:
        ValueError: if no record can be drawn.

    Example:
        >>> records = [{"epoch": 1, "kl_per_latent": [0.1, 0.0]}, {"epoch": 2, "kl_per_latent": [2.0, 0.0]}]
        >>> kl_of_groups(records)[1].get_title(loc="left")
        '2.0 nats in 2 groups, 1 of them above 0.1 nats'
    """
    from matplotlib.colors import LogNorm

    places, kl = _kl_rows(records, x)
    if ax is None:
        _, ax = new_axes(WIDTH, min(1.4 + 0.16 * kl.shape[1], 6.0))
    edges = np.concatenate([[0.0], places]) if len(places) > 1 or places[0] > 0 else np.array([0.0, 1.0])
    norm = LogNorm(0.01, max(kl.max(), 0.1))
    drawn = ax.pcolormesh(edges, np.arange(kl.shape[1] + 1), np.maximum(kl.T, 0.01), cmap="Blues", norm=norm)
    figure: Any = ax.figure
    scale = ax.inset_axes((1.02, 0.0, 0.02, 1.0))
    bar = figure.colorbar(drawn, cax=scale)
    bar.outline.set_visible(False)
    scale.tick_params(length=2, labelsize=SMALL, labelcolor=MUTED)
    scale.set_title("nats", fontsize=SMALL, color=MUTED)
    shown = range(0, kl.shape[1], -(-kl.shape[1] // 12))
    ax.set_yticks([row + 0.5 for row in shown], [str(row + 1) for row in shown])
    last = kl[-1]
    summary = f"{last.sum():.1f} nats in {last.size} groups, {(last > 0.1).sum()} of them above 0.1 nats"
    style(ax, title=title or summary, x=x, y="group, next to x below")
    ax.grid(visible=False)
    return figure, ax


def _kl_rows(records: Sequence[Mapping[str, Any]], x: str) -> tuple[np.ndarray, np.ndarray]:
    """(places [N], KL [N, L]) of the records that have both."""
    rows = [
        (record[x], record["kl_per_latent"])
        for record in records
        if record.get(x) is not None and record.get("kl_per_latent")
    ]
    if not rows:
        raise ValueError(
            f"none of {len(records)} records has {x!r} and 'kl_per_latent'. Train a model with a KL first."
        )
    return np.array([row[0] for row in rows], np.float64), np.array([row[1] for row in rows], np.float64)
