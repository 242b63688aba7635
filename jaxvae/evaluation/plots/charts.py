"""Charts of a run: loss curves and the KL of each latent."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxvae.checks import finite_number
from jaxvae.evaluation.plots.figures import (
    BLUE,
    GREY,
    INK,
    MUTED,
    PURPLE,
    RED,
    SMALL,
    TEXT,
    WIDTH,
    new_axes,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = jax.Array
Records = Sequence[Mapping[str, Any]]
PANELS = (("elbo", -1, "\N{MINUS SIGN}ELBO"), ("log_likelihood", -1, "reconstruction"), ("kl", 1, "KL"))


def loss_curves(
    train: Records,
    test: Records = (),
    validation: Records = (),
    *,
    kept: float | None = None,
    x: str = "step",
    ax: Sequence["Axes"] | None = None,
) -> tuple["Figure", Any]:
    """-ELBO and its two parts, -E_q[log p(x | z)] and KL(q || p), each in a panel, in nats per example.

    Args:
        train: records in order, as `metrics.jsonl` holds them, each with `x`, elbo, log_likelihood and kl. A
            record that lacks one, or has null, is skipped.
        test: the same of test examples, drawn as points; `elbo_standard_error` and so on become error bars.
        validation: the same of validation examples, small points. Of the history of a `fit` they are in `train`, as is
            the epoch that was kept.
        kept: where the parameters are from that validation chose, in units of x: a dashed line.
        x: what the horizontal axis counts: "step" or "epoch".
        ax: three axes, by default those of a new figure.

    Returns:
        The figure and its three axes.

    Raises:
        ValueError: if no record can be drawn, or ax is not three axes.
    """
    panels = new_axes(WIDTH, 3.0, len(PANELS))[1] if ax is None else np.asarray(ax, object).reshape(-1)
    if len(panels) != len(PANELS):
        raise ValueError(f"ax has {len(panels)} axes, expected {len(PANELS)}: -ELBO, reconstruction and KL.")
    if not validation:
        validation, kept = _of_fit(train, x, kept)
    for panel, (name, sign, title) in zip(panels, PANELS, strict=True):
        steps, values, _ = _column(train, x, name)
        if len(steps) == 0:
            raise ValueError(f"none of {len(train)} train records has {x!r} and {name!r}. Train first.")
        line_steps, line = _averaged(steps), sign * _averaged(values)
        mark = "o" if len(line) == 1 else ""
        panel.plot(line_steps, line, color=BLUE, linewidth=1.4, marker=mark, markersize=3.5)
        steps, values, errors = _column(test, x, name)
        held, bounds, _ = _column(validation, x, name)
        style(panel, title=title, x=x, pad=8 + 12 * (bool(len(steps)) + bool(len(held))))
        if len(held):
            panel.plot(held, sign * bounds, "o", color=PURPLE, markersize=2.5)
            _caption(panel, f"validation {_number(sign * bounds[_at(held, kept)])}", 0, PURPLE, line=bool(len(steps)))
        if kept is not None:
            panel.axvline(kept, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            where: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
            side, space = ("right", -3) if kept > np.mean(panel.get_xlim()) else ("left", 3)
            panel.annotate("kept", (kept, 0), (space, 3), **where, ha=side, fontsize=SMALL, color=MUTED)
        if len(steps):
            panel.errorbar(steps, sign * values, errors, fmt="o", color=RED, markersize=3.5)
            error = f" \N{PLUS-MINUS SIGN} {errors[-1]:.2f}" if errors[-1] else ""
            _caption(panel, f"test {_number(sign * values[-1])}{error}", 0, RED)
        if len(steps) or len(held):
            _caption(panel, "train", 1, BLUE)
        seen = sign * bounds[len(bounds) // 20 :]
        panel.set_ylim(*_view(line, sign * values - errors, sign * values + errors, seen))
        panel.locator_params(axis="x", nbins=4)
    panels[0].set_ylabel("nats per example", fontsize=TEXT, color=INK)
    return panels[0].figure, panels


def _of_fit(history: Records, x: str, kept: float | None) -> tuple[Records, float | None]:
    """(validation records, the place of the best epoch) of the records of a `fit`; none where it had no validation."""
    found = [record for record in history if record.get("validation") is not None and record.get(x) is not None]
    if found and kept is None:
        best = found[-1].get("best_epoch")
        kept = next((record[x] for record in found if record.get("epoch") == best), None)
    return [{x: record[x], "elbo": record["validation"]} for record in found], kept


def _at(places: np.ndarray, kept: float | None) -> int:
    """The index of the place that was kept, else of the last one."""
    return -1 if kept is None else int(np.abs(places - kept).argmin())


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _column(records: Records, x: str, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, values and standard errors (0 where there is none) of one metric."""
    rows = [
        (record[x], record[name], record.get(f"{name}_standard_error") or 0.0)
        for record in records
        if record.get(x) is not None and record.get(name) is not None and np.isfinite(record[name])
    ]
    steps, values, errors = np.array(rows, np.float64).reshape(-1, 3).T
    return steps, values, errors


def _caption(ax: "Axes", text: str, x: float, color: str, line: int = 0) -> None:
    """Words under the title in the colour of what they name, in place of a legend; x is 0 (left) or 1 (right)."""
    side = "right" if x else "left"
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": side}
    ax.annotate(text, (x, 1), (0, 6 + 12 * line), **where, fontsize=SMALL, color=color)


def _averaged(values: np.ndarray, most: int = 150) -> np.ndarray:
    """Means over as many neighbours each, so that a line of thousands of noisy steps stays a line."""
    width = -(-len(values) // most)
    return np.array([values[start : start + width].mean() for start in range(0, len(values), width)])


def _view(line: np.ndarray, *points: np.ndarray) -> tuple[float, float]:
    """Vertical limits that leave out the fall of the first steps, so that the rest can be read."""
    seen = np.concatenate([line[len(line) // 20 :], *points])
    margin = 0.08 * (np.ptp(seen) or abs(seen[0]) or 1.0)
    return float(seen.min() - margin), float(seen.max() + margin)


def kl_per_latent(
    kl: Array | np.ndarray,
    *,
    latents: int | None = None,
    threshold: float = 0.01,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """KL of each latent as bars, the largest first; those below `threshold` nats carry nothing and are grey.

    Args:
        kl: [Z] nats, a mean over examples, or [N, Z], averaged here.
        latents: Z, where kl may be one number for all of them, as under a mixture or a flow: the bar is then named so.
        threshold: in nats.
        title: by default how many latents are above the threshold, and the sum of all.

    Raises:
        ValueError: for another shape, or values that are not finite.
    """
    finite_number("threshold", threshold)
    kl = np.asarray(kl, np.float64)
    kl = kl.mean(0) if kl.ndim == 2 else kl
    if kl.ndim != 1 or kl.size == 0 or not np.isfinite(kl).all():
        raise ValueError(f"kl has shape {kl.shape} and values {kl}, expected finite nats [Z] or [N, Z].")
    order = np.argsort(-kl, kind="stable")
    count, active = len(kl), int((kl > threshold).sum())
    if ax is None:
        _, ax = new_axes(WIDTH, 3.0)
    ax.bar(range(count), kl[order], color=[BLUE] * active + [GREY] * (count - active), width=0.8)
    if active < count:
        ax.axvline(active - 0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        left = active > 0.75 * count  # too near the right edge for words beyond the line
        ax.annotate(
            f"below {threshold:g} nats " + ("\N{RIGHTWARDS ARROW}" if left else ""),
            (active - 0.5, 1.0),
            (-5 if left else 5, -4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            fontsize=SMALL,
            color=MUTED,
        )
    shown = range(0, count, -(-count // 40))
    ax.set_xticks(list(shown), [str(order[position]) for position in shown])
    ax.set_xlim(-0.7, count - 0.3)
    summary = f"{active} of {count} latents above {threshold:g} nats; together {kl.sum():.1f} nats"
    if count == 1 and latents is not None and latents > 1:
        ax.set_xticks([0], [f"all {latents}"])
        summary = f"{kl.sum():.1f} nats, all {latents} latents together"
    style(ax, title=title or summary, x="latent, sorted by KL", y="KL, nats per example")
    figure: Any = ax.figure
    return figure, ax
