"""Charts of what is exact: a posterior beside the q that stands for it, and the two turns that raise the ELBO."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvae.evaluation.exact.grid import GridPosterior
from jaxvae.evaluation.plots.figures import BLUE, FAINT, GREY, INK, MUTED, ORANGE, SMALL, WIDTH, halo, new_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def posterior_and_q(
    grid: GridPosterior,
    log_q: np.ndarray | None = None,
    example: int = 0,
    *,
    span: float = 3.5,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> tuple["Figure", "Axes"]:
    """p(z | x) of one example as a filled curve, the prior dashed, and q as a line.

    Args:
        grid: of a model with one latent.
        log_q: [N, G] log q(z) on the grid, such as `gaussian_on_grid(grid.axes, q)`, or None.
        example: which of the N.
        span: the curves are drawn from -span to span.

    Raises:
        ValueError: for a grid of two latents, a log_q of another shape, or an example that does not exist.

    Example:
        >>> import jax
        >>> from jaxvae.evaluation.exact.grid import grid_posterior
        >>> from jaxvae.models.exact.linear import linear_gaussian
        >>> model = linear_gaussian(np.ones((1, 1), np.float32))
        >>> params = model.init(jax.random.key(0), np.zeros(1, np.float32))
        >>> figure, ax = posterior_and_q(grid_posterior(model, params, np.ones((1, 1), np.float32)))
        >>> ax.get_legend_handles_labels()[1]
        ['posterior p(z | x)', 'prior']
    """
    if len(grid.axes) != 1:
        raise ValueError(f"the grid has {len(grid.axes)} latents, expected 1: a curve has one axis.")
    if log_q is not None and np.shape(log_q) != grid.density.shape:
        raise ValueError(f"log_q has shape {np.shape(log_q)}, expected {grid.density.shape}, that of grid.density.")
    if not 0 <= example < len(grid.density):
        raise ValueError(f"example is {example}, expected 0 to {len(grid.density) - 1}.")
    if ax is None:
        _, ax = new_axes(WIDTH / 2, 3.0)
    shown = np.abs(grid.axes[0]) <= span
    z, posterior = grid.axes[0][shown], grid.density[example][shown]
    ax.fill_between(z, posterior, color=BLUE, alpha=0.25, linewidth=0)
    ax.plot(z, posterior, color=BLUE, linewidth=1.6, label="posterior p(z | x)")
    if log_q is not None:
        ax.plot(z, np.exp(log_q[example][shown]), color=ORANGE, linewidth=2.0, linestyle=(0, (5, 2)), label="q(z)")
    ax.plot(z, np.exp(grid.log_prior[example][shown]), color=MUTED, linewidth=1.0, linestyle=(0, (1, 2)), label="prior")
    style(ax, title=title, x="z", y="density")
    ax.set_xlim(-span, span)
    ax.set_ylim(bottom=0)
    figure: Any = ax.figure
    return figure, ax


def two_turns(
    elbo: np.ndarray, log_evidence: np.ndarray, *, title: str | None = None, ax: "Axes | None" = None
) -> tuple["Figure", "Axes"]:
    """The mean ELBO and log p(x) after each half of each round: the first half moves q, the second the decoder.

    Args:
        elbo: [2 R + 1] nats per example: at the start, after the first E step, after the first M step, ...
        log_evidence: [2 R + 1] the same of log p(x), which an E step leaves alone.

    Raises:
        ValueError: for arrays of another shape.

    Example:
        >>> figure, ax = two_turns(np.array([-9.0, -7.0, -6.0]), np.array([-7.0, -7.0, -5.0]))
    """
    elbo, log_evidence = np.asarray(elbo, np.float64), np.asarray(log_evidence, np.float64)
    if elbo.ndim != 1 or len(elbo) < 3 or len(elbo) % 2 == 0 or elbo.shape != log_evidence.shape:
        raise ValueError(
            f"elbo has shape {elbo.shape} and log_evidence {log_evidence.shape}, expected both [2 R + 1] with R >= 1: "
            f"the start, and two numbers a round."
        )
    if ax is None:
        _, ax = new_axes(WIDTH, 3.2)
    turns = np.arange(len(elbo)) / 2
    ax.fill_between(turns, elbo, log_evidence, color=FAINT, linewidth=0)
    ax.plot(turns, log_evidence, color=BLUE, linewidth=1.8)
    ax.plot(turns, elbo, color=GREY, linewidth=1.0)
    ax.plot(turns[1::2], elbo[1::2], "^", color=ORANGE, markersize=6)
    ax.plot(turns[2::2], elbo[2::2], "s", color=INK, markersize=4.5)
    style(ax, title=title, x="round", y="nats per picture")
    ax.set_xticks(range(len(elbo) // 2 + 1))
    look: Any = {"xycoords": "axes fraction", "fontsize": SMALL, "path_effects": halo()}
    # A first rise of many nats would flatten all that follows: where rounds follow, it enters from below.
    low, high = elbo[2 if len(elbo) > 5 else 1 :].min(), log_evidence.max()
    if elbo[1] < low:
        text = f"ELBO at the\nstart: {elbo[0]:.2f}".replace("-", "\N{MINUS SIGN}")
        ax.annotate(text, (0.02, 0.06), color=MUTED, **look)
    ax.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
    words: tuple[tuple[str, str], ...] = (
        ("\u2014 log p(x)", BLUE),
        ("\u25b2 ELBO after the E step", ORANGE),
        ("\u25a0 ELBO after the M step", INK),
        ("grey: the gap", MUTED),
    )
    for row, (text, color) in enumerate(words):
        ax.annotate(text, (0.98, 0.36 - 0.1 * row), color=color, ha="right", **look)
    figure: Any = ax.figure
    return figure, ax
