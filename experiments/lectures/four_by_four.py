"""The evidence, the ELBO and the gap of 4x4-pixel pictures driven by one number, all exact, and EM step by step.

    python -m experiments.four_by_four

Time: about 15 s on two cores. Expected: log p(x) = ELBO + gap to 4 digits for any q, where log p(x), the ELBO and the
gap are three sums over a grid; a gap near 0 where the posterior is nearly a Gaussian, and near log 2 = 0.69 nats where
it has two equal modes of which q covers one; each E step raises the ELBO and leaves log p(x) alone, each M step raises
the ELBO; the decoder learned from 200 pictures has the radius 1.2 and the width 0.8 that drew them. Obtained: gaps of
0.0006, 0.1348 and 0.6572 nats for the three pictures, with ELBO + gap = log p(x) in all four digits; an ELBO of
-11.35, -5.79, -5.54, -5.52 in the first two rounds and -5.5200 from the third on, with log p(x) -5.4533 where the true
decoder has -5.4603; radius 1.1785 and width 0.7847.
"""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import Workdir, parser
from jaxvae.commands.parts.launch import launch

SHOWN = ((0.55, 1), (-1.15, 7), (3.5, 3))  # z and the key of the noise: one mode, a skewed one, two modes

SPAN = 8.0  # of the grid: a q that stands for two modes is wide


@dataclass(frozen=True)
class FourByFourOptions:
    """Draws pictures, computes their posteriors on a grid, and learns the decoder by EM."""

    pictures: int = 200  # Pictures that EM learns from.
    rounds: int = 3  # Rounds of EM, each an E step and an M step.
    noise: float = 0.3  # Standard deviation of each pixel, where the brightest has mean 1.
    seed: int = 0  # Of the pictures that EM learns from.
    workdir: Workdir = "runs/four_by_four"  # Where the picture and the numbers go.


def main(options: FourByFourOptions) -> None:
    """Prints the two tables and saves the picture."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from experiments.tables.results import write_results
    from jaxvae.checks import positive_integer
    from jaxvae.evaluation.annealing.annealed import ancestral_sample
    from jaxvae.evaluation.exact.grid import grid_posterior
    from jaxvae.evaluation.exact.parts import evidence_parts, gaussian_on_grid
    from jaxvae.evaluation.measured import print_table
    from jaxvae.models.exact.pixels import four_by_four
    from jaxvae.models.records import DiagNormal
    from jaxvae.training.search.coordinate_ascent import e_step

    rounds = positive_integer("rounds", options.rounds)
    count = positive_integer("pictures", options.pictures, 2)
    model = four_by_four(noise=options.noise)
    params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
    key_data = jax.random.key(options.seed)
    shown = np.stack(
        [model.likelihood.sample(params, jax.random.key(noise), jnp.float32([z]))[0] for z, noise in SHOWN]
    )
    grid = grid_posterior(model, params, shown, low=-SPAN, high=SPAN)
    guesses = {"the prior": DiagNormal(jnp.zeros((3, 1)), jnp.zeros((3, 1)))}
    guesses["the best Gaussian"] = e_step(model, params, shown, at_the_mode(grid))
    parts = {name: evidence_parts(grid, gaussian_on_grid(grid.axes, q)) for name, q in guesses.items()}
    rows = [
        (
            f"z = {z:g}",
            name,
            *(four(name, value[i]) for name, value in zip(COLUMNS, found, strict=True)),
            four("ELBO + gap", found.elbo[i] + found.gap[i]),
        )
        for i, (z, _) in enumerate(SHOWN)
        for name, found in parts.items()
    ]
    print_table("three pictures, nats", ("drawn at", "q", *COLUMNS, "ELBO + gap"), rows)

    x, z = (np.asarray(part) for part in ancestral_sample(model, params, key_data, count))
    learned = learn(options.noise, x, rounds)
    truth = float(grid_posterior(model, params, x).log_evidence.mean())
    steps = [
        (
            str((i + 1) // 2) if i else "start",
            ("M", "E")[i % 2] if i else "",
            *(four(name, learned[name][i]) for name in TRACE),
        )
        for i in range(2 * rounds + 1)
    ]
    steps.append(("truth", "", "", four("log p(x)", truth), "", four("radius", 1.2), four("width", 0.8)))
    print_table(f"EM on {count} pictures, means in nats", ("round", "step", *TRACE), steps)
    numbers = {
        "setting": {"pictures": count, "rounds": rounds, "noise": options.noise, "seed": options.seed},
        "pictures": {name: {k: list(v) for k, v in found._asdict().items()} for name, found in parts.items()},
        "em": {name: learned[name] for name in TRACE},
        "log_evidence_of_the_true_decoder": truth,
    }
    best = gaussian_on_grid(grid.axes, guesses["the best Gaussian"])
    figure = draw(x[np.argsort(z[:, 0])], shown, grid, best, parts["the best Gaussian"], learned, params)
    write_results(options.workdir, numbers, {"four_by_four": figure})


COLUMNS = ("log p(x)", "E_q log p(x|z)", "KL", "ELBO", "gap")
TRACE = ("ELBO", "log p(x)", "gap", "radius", "width")


def four(name: str, value: Any) -> Any:
    """Four decimals of a number that has all of them, in nats but for the decoder's radius and width."""
    from jaxvae.evaluation.written import written

    exact = "exact" if name == "log p(x)" else None  # a sum over the grid
    unit = "" if name in ("radius", "width") else "nats"
    return written(f"{round(float(value), 4) + 0.0:.4f}", value, unit=unit, evidence=exact)


def at_the_mode(grid: Any) -> Any:
    """Gaussians to start from: narrow, at the highest point of each posterior."""
    import jax.numpy as jnp

    from jaxvae.models.records import DiagNormal

    modes = jnp.asarray(grid.axes[0][grid.density.argmax(1)][:, None], jnp.float32)
    return DiagNormal(modes, jnp.full(modes.shape, -2.0))


def learn(noise: float, x: Any, rounds: int) -> dict[str, Any]:
    """EM from a spot that is too wide on a circle that is too small; the numbers after each half of each round."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxvae.commands.parts.progress import progress_bar
    from jaxvae.evaluation.exact.grid import grid_posterior
    from jaxvae.evaluation.exact.parts import evidence_parts, gaussian_on_grid
    from jaxvae.models.exact.pixels import four_by_four
    from jaxvae.models.records import DiagNormal
    from jaxvae.training.search.coordinate_ascent import e_step, m_step

    model = four_by_four(radius=0.8, width=1.2, noise=noise)
    params = model.init(jax.random.key(0), jnp.zeros((4, 4, 1)))
    first, trace = params, {name: list[float]() for name in TRACE}
    grid = grid_posterior(model, params, x, low=-SPAN, high=SPAN)
    q = DiagNormal(jnp.zeros((len(x), 1)), jnp.zeros((len(x), 1)))

    def note() -> None:
        parts = evidence_parts(grid, gaussian_on_grid(grid.axes, q))
        values = [parts.elbo.mean(), parts.log_evidence.mean(), parts.gap.mean()]
        decoder = params["decoder"]
        for name, value in zip(TRACE, [*values, decoder["radius"], np.exp(decoder["log_width"])], strict=True):
            trace[name].append(float(value))

    note()
    q = at_the_mode(grid)
    with progress_bar("EM", rounds) as progress:
        for done in range(rounds):
            q = e_step(model, params, x, q)
            note()
            params = m_step(model, params, x, q)
            grid = grid_posterior(model, params, x, low=-SPAN, high=SPAN)
            note()
            progress(done + 1)
    return {**trace, "first": first, "params": params}


def draw(x: Any, shown: Any, grid: Any, log_q: Any, parts: Any, learned: Any, truth: Any) -> Any:
    """The picture: data above, three posteriors beside q in the middle, EM and what it learned below."""
    import jax
    import numpy as np
    from matplotlib.figure import Figure

    from jaxvae.evaluation import plots
    from jaxvae.evaluation.latents.codes import gaussian_quantiles
    from jaxvae.evaluation.plots.evidence_charts import posterior_and_q, two_turns
    from jaxvae.evaluation.plots.figures import DPI, SMALL, WIDTH
    from jaxvae.models.exact.pixels import four_by_four

    figure = Figure(figsize=(WIDTH, 8.2), dpi=DPI, layout="constrained", facecolor="white")
    middle = ["one mode", "skewed", "two modes"]
    layout: Any = [["data"] * 6, [name for name in middle for _ in (0, 1)], ["em"] * 4 + ["spots"] * 2]
    axes = figure.subplot_mosaic(layout, height_ratios=[0.62, 1.0, 1.0])
    few = x[np.linspace(0, len(x) - 1, 36).round().astype(int)]
    plots.image_grid(
        few,
        columns=18,
        title="Pictures driven by one number z, in its order: a spot walks round a circle",
        ax=axes["data"],
    )
    for i, name in enumerate(middle):
        ax = axes[name]
        title = f"log p(x) = {parts.log_evidence[i]:.4f}\n  ELBO  {parts.elbo[i]:.4f}\n  + gap {parts.gap[i]:.4f}"
        posterior_and_q(grid, log_q, i, title=title.replace("-", "\N{MINUS SIGN}"), ax=ax)
        ax.set_ylim(top=1.7 * max(grid.density[i].max(), np.exp(log_q[i]).max()))
        inset = ax.inset_axes((0.03, 0.62, 0.34, 0.36))
        inset.imshow(shown[i, ..., 0], cmap="gray", vmin=0, vmax=1)
        inset.set_xticks([])
        inset.set_yticks([])
        if i:
            ax.set_ylabel("")
    axes[middle[0]].legend(fontsize=SMALL - 0.5, frameon=False, loc="upper right", handlelength=1.0)
    two_turns(
        np.array(learned["ELBO"]),
        np.array(learned["log p(x)"]),
        title="EM: the E step closes the gap, the M step lifts both",
        ax=axes["em"],
    )
    model, places = four_by_four(), gaussian_quantiles(4, 0.125)
    mean = jax.vmap(model.likelihood.mean, (None, 0))
    sets = {"start": learned["first"], "learned": learned["params"], "truth": truth}
    rows = {name: np.asarray(mean(given, places[:, None])) for name, given in sets.items()}
    plots.compare(rows, columns=4, title="The decoder", ax=axes["spots"])
    return figure


if __name__ == "__main__":
    launch(main, parser(FourByFourOptions))
