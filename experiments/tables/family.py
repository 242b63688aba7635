"""Every model, prior, posterior, bound and estimator of the library on the 8x8 digits, side by side.

    python -m experiments.family
    python -m experiments.family --members vae iwae vamp_prior --epochs 300

Time: 4 to 40 s for each member and 100 epochs on two cores, a minute or two for rae_gp and vae_gan; 20 minutes for
all beside other work. Expected: bounds within some 10 nats of the plain VAE's; autoencoders reconstruct best and have
no bound. Obtained, in nats, +- 1.2 (vq 2.1, vae_gan 1.5): vae 161.6, conditional 156.3, semi_supervised 162.1,
hierarchical and ladder 158.9, categorical 164.8, vamp_prior 158.9, spline_prior 158.1, iwae 161.3, beta 169.4, vq
187.8; vae_gan, which is not trained for it, 213; autoencoder no bound, and 150.8 of reconstruction. The GAN draws
several digits, roughly; without pairs and the penalty of the critic's slope it drew one only.

Prints a table and draws a picture with a row of samples from each; `model_zoo.py`, beside this file, shows how each is
made. Autoencoders have no prior to draw from: a Gaussian mixture is fitted to their codes afterwards.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.files import make_folder
from jaxvae.runs.configs.options import Picture, output_path


@dataclass(frozen=True)
class FamilyOptions:
    """Trains small models of each kind on the digits, equally long, and compares what they reach."""

    members: tuple[str, ...] = ()  # Names as in the table; none given means all.
    epochs: int = 100  # Passes over the 1,500 training images.
    samples: int = 100  # K of the IWAE bound on the test images.
    seed: int = 0  # Of weights, order and noise.
    output: Picture = "runs/family"  # Folder of the picture of samples and of results.json; or a .png.
    progress: bool = True  # Show a progress bar.


def main(options: FamilyOptions) -> None:
    """Trains, measures, prints and draws."""
    import jax
    import numpy as np
    from rich.console import Console
    from rich.progress import track

    import jaxvae
    from experiments.tables.model_zoo import MODEL_ZOO
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number
    from jaxvae.runs.configs.names import unknown

    names = options.members or tuple(MODEL_ZOO)
    for name in names:
        if name not in MODEL_ZOO:
            raise ValueError(unknown("member", name, MODEL_ZOO))
    train, test = jaxvae.data.load("digits", split="train"), jaxvae.data.load("digits", split="test")
    rows: list[tuple[Any, ...]] = []
    pictures = {}
    console = Console(width=118, stderr=True)
    for name in track(names, "training", console=console, transient=True, disable=not options.progress):
        entry, start = MODEL_ZOO[name][1](), time.perf_counter()
        labels = None if entry.labels is None else np.asarray(entry.labels(train.labels))
        params, _ = jaxvae.fit(
            entry.model,
            train.images,
            labels=labels,
            protocol="levels",
            loss=entry.loss,
            optimizer=entry.optimizer,
            epochs=options.epochs,
            seed=options.seed,
            progress=False,
        )
        seconds = time.perf_counter() - start
        bound, elbo, reconstruction = measured(entry, params, test, options.samples)
        rows.append((name, MODEL_ZOO[name][0], bound, elbo, reconstruction, number(seconds, ".0f")))
        if len(names) > 1:  # all of them take a while, and what is done should not be lost
            console.print(f"{name}: {bound or 'no bound'}, reconstruction {reconstruction or '-'}, {seconds:.0f} s")
        pictures[name] = draws(entry, params, train, 16)
        jax.clear_caches()  # no program serves two models
    title = f"{options.epochs} epochs, K = {options.samples}, {len(test.images)} test images, 256 levels"
    names = ("model", "what it is", "-IWAE bound, nats", "-ELBO", "reconstruction", "s")
    print_table(f"{title}, seed {options.seed}", names, rows)
    path = output_path(options.output, Path("family.png"))
    make_folder(path.parent)
    figure, _ = plots.compare({name: images / 255 for name, images in pictures.items()}, columns=16)
    print(plots.save(figure, path))


def measured(entry: Any, params: Any, test: Any, samples: int) -> tuple[Any, Any, Any]:
    """The tightest bound, -ELBO and reconstruction on the test images in nats; empty where the model has none."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.evaluation.bounds.likelihood import tightest
    from jaxvae.evaluation.bounds.report import negative
    from jaxvae.evaluation.statistics import mean_and_error
    from jaxvae.evaluation.written import number

    x: Any = np.asarray(test.images, np.float32)
    if entry.labels is not None:
        x = jaxvae.Labelled(x, np.asarray(test.labels))
    if entry.model.posterior.support == "none":  # a generator without an encoder
        return "", "", ""
    counted = 1 if entry.model.evidence == "none" else samples
    values = jaxvae.per_example(entry.model, params, jax.random.key(0), x, samples=counted)
    found, best = jaxvae.summarize(values), tightest(values)
    reconstruction = number(-found["log_likelihood"].mean, ".1f", "nats")
    if best is None:
        return "", "", reconstruction
    return negative(mean_and_error(best)).text(1), number(-found["elbo"].mean, ".1f", "nats"), reconstruction


def draws(entry: Any, params: Any, train: Any, count: int) -> Any:
    """Means of x for draws of the prior, [count, 8, 8, 1]; of an autoencoder, of a mixture fitted to its codes."""
    import jax
    import numpy as np

    import jaxvae
    from jaxvae.evaluation.latents import generation

    model, key = entry.model, jax.random.key(1)
    context = None if entry.labels is None else np.arange(count) % 10
    if model.prior.support != "none":
        return generation.prior_means(model, params, key, count, context=context)
    x = np.asarray(train.images, np.float32)
    codes = jaxvae.evaluation.fitted_priors.draw_codes(model, params, key, x)
    model = jaxvae.with_prior(model, jaxvae.evaluation.fitted_priors.fit_gaussian_mixture(codes, 10))
    return generation.prior_means(model, params, key, count)


if __name__ == "__main__":
    launch(main, parser(FamilyOptions))
