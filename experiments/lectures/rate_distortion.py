"""The VAE as an information bottleneck: rate against distortion over beta, and what the rate is made of.

    python -m experiments.rate_distortion
    python -m experiments.rate_distortion --data mnist --epochs 20 --hidden 400 --latent-dim 20 --betas 0.1 1 4 30

Time: about a minute and a half on two cores. Expected: as beta rises the rate falls to 0 and the distortion rises to
that of a model without a code; -ELBO = R + D is best near beta = 1, the objective that asks for it; R is never below
I(x; z), and I(x; z) never above the entropy of the pictures, 8.43 nats. Obtained, in nats:

    beta    rate            distortion      -ELBO           I(x; z)        KL(q(z) | p(z))   active units
    0.1     24.67 +- 0.04    1.23 +- 0.02   25.90 +- 0.05   8.43 +- 0.01   16.22 +- 0.09     10
    1        7.45 +- 0.01    8.31 +- 0.05   15.75 +- 0.06   6.25 +- 0.03    1.19 +- 0.03      5
    4        3.48 +- 0.01   17.07 +- 0.08   20.55 +- 0.09   3.23 +- 0.03    0.19 +- 0.01      4
    30       0.00           45.28 +- 0.23   45.28 +- 0.23   0.00            0.00              0

A low beta buys little: of 24.7 nats only 8.43 tell the pictures apart, the rest is the distance of q(z) from the prior,
so that draws from the prior decode badly. A high one is posterior collapse.

The second command, 4.5 minutes of processor time, on 10,000 test images of a fixed binary draw: rates of 56.5, 27.1,
10.1 and 0.02 nats (+- 0.05), distortions of 62.6, 74.2, 108.8 and 205.5 (+- 0.5), -ELBO 119.1, 101.3, 118.9 and 205.5,
with 20, 20, 14 and no active units. The first two have I(x; z) at its cap for so many images, log 10,000 = 9.21.
"""

import math
from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch


@dataclass(frozen=True)
class RateOptions:
    """Trains one VAE for each beta, all in one program, and measures rate, distortion and information."""

    data: str = "shapes"  # shapes, digits, mnist, ...; of shapes all pictures are trained on and measured.
    betas: tuple[float, ...] = (0.1, 0.3, 1.0, 2.0, 4.0, 10.0, 30.0)  # Weights of the KL.
    epochs: int = 100  # Passes over the pictures.
    size: int = 16  # Height and width of the pictures of shapes.
    hidden: tuple[int, ...] = (256, 256)  # Widths of the layers on either side.
    latent_dim: int = 10  # Latents.
    batch_size: int = 256  # Pictures in a step.
    draws: int = 2000  # Posterior samples for the information.
    seed: int = 0  # Of the evaluation; every beta trains from seed 0.
    output: str = "runs/rate_distortion"  # The folder of numbers.json and the picture.
    progress: bool = True  # Show a progress bar.


def main(options: RateOptions) -> None:
    """Prints the table; writes numbers.json and rate_distortion.png."""
    from functools import partial
    from pathlib import Path

    import jax
    from rich.console import Console
    from rich.progress import Progress

    import jaxvae
    from jaxvae.checks import finite_number, positive_integer
    from jaxvae.evaluation.bounds.rates import rate_distortion
    from jaxvae.files import make_folder, write_json
    from jaxvae.training.engine.sweep import member, train_sweep

    if not options.betas:
        raise ValueError("betas is empty, expected at least one weight of the KL, as in --betas 0.5 1 2.")
    for beta in options.betas:
        finite_number("betas", beta)
    epochs = positive_integer("epochs", options.epochs)
    images, x, protocol, entropy, about = load(options)
    shape, hidden = tuple(images.shape[1:]), tuple(options.hidden)
    encoder, decoder = jaxvae.MLPEncoder(options.latent_dim, hidden), jaxvae.MLPDecoder(shape, hidden=hidden)
    model = jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=options.latent_dim)
    points = {}
    with Progress(console=Console(width=118, stderr=True), transient=True, disable=not options.progress) as bar:
        params = train_sweep(
            model,
            lambda hyper: jaxvae.bound_loss(model, jaxvae.elbo, beta=hyper["beta"]),
            jaxvae.make_optimizer("adam", 1e-3),
            images,
            hyper={"beta": options.betas},
            seeds=1,
            epochs=epochs,
            batch_size=options.batch_size,
            protocol=protocol,
            tick=partial(bar.advance, bar.add_task("training", total=epochs)),
        )
        for i, beta in enumerate(bar.track(options.betas, description="measuring")):
            key = jax.random.key(options.seed)
            points[beta] = rate_distortion(model, member(params, i, 0), key, x, draws=options.draws)
    cap = math.log(len(x))
    show(points, f"{about}, {epochs} epochs; {min(options.draws, len(x))} draws", cap)
    folder = Path(options.output)
    make_folder(folder)
    write_json(
        folder / "numbers.json",
        {
            "data": about,
            "epochs": epochs,
            "draws": min(options.draws, len(x)),
            "information_cap": cap,
            "entropy": entropy,
            "points": [{"beta": beta, **plain(point)} for beta, point in points.items()],
        },
    )
    draw(folder, points, entropy)
    print(f"numbers.json and rate_distortion.png in {folder}")


def load(options: RateOptions) -> tuple[Any, Any, str, float | None, str]:
    """(training images, examples to measure, protocol, entropy of the data in nats if known, words)."""
    import numpy as np

    import jaxvae
    from jaxvae.runs.configs.config import DataConfig
    from jaxvae.runs.held_out import load_held_out

    if options.data == "shapes":
        images = jaxvae.data.load("shapes", "all", size=options.size).images
        x = (images >= 128).astype(np.float32)
        # The pictures are all there is, each as likely as the next; some look the same once they are black and white.
        counts = np.unique(x.reshape(len(x), -1), axis=0, return_counts=True)[1]
        entropy = float(math.log(len(x)) - (counts * np.log(counts)).sum() / len(x))
        return images, x, "threshold", entropy, f"all {len(x)} shapes, {options.size} pixels, black and white"
    train = jaxvae.data.load(options.data, "train").images
    held_out = load_held_out(DataConfig(options.data, protocol="dynamic"))
    return train, held_out.x, "dynamic", None, f"{options.data}, {len(held_out.x)} test images, {held_out.protocol}"


def plain(point: Any) -> dict[str, Any]:
    """A point as JSON holds it."""
    return {name: value._asdict() if hasattr(value, "_asdict") else value for name, value in point._asdict().items()}


def show(points: dict[float, Any], about: str, cap: float) -> None:
    """Prints a row for each beta."""
    from jaxvae.evaluation.measured import print_table

    names = ("beta", "rate", "distortion", "-ELBO", "I(x; z)", "at most", "KL(q(z) | p(z))", "active")
    rows = []
    for beta, point in points.items():
        parts = (point.rate, point.distortion, point.negative_elbo, point.information)
        # No more is told than the rate, whatever the estimate says.
        above = point.information_above
        most = "the rate" if above.mean > point.rate.mean else above.text(2, "nats")
        words = (*(part.text(2, "nats") for part in parts), most, point.marginal_kl.text(2, "nats"))
        rows.append((f"{beta:g}", *words, point.active_units))
    print_table(f"nats per example ± standard error; {about}", names, rows, f"I at most log N = {cap:.2f}")


def draw(folder: Any, points: dict[float, Any], entropy: float | None) -> None:
    """The curve, and beside it the rate and the information in it."""
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.plots import rate_charts

    rows = list(points.values())
    figure, _ = rate_charts.rate_distortion_curve(
        [point.rate.mean for point in rows],
        [point.distortion.mean for point in rows],
        [f"\N{GREEK SMALL LETTER BETA} = {beta:g}" for beta in points],
        errors=([point.rate.standard_error for point in rows], [point.distortion.standard_error for point in rows]),
        entropy=entropy,
    )
    plots.save(figure, folder / "rate_distortion.png")


if __name__ == "__main__":
    launch(main, parser(RateOptions))
