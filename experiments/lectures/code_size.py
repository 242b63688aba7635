"""Two numbers against five: reconstruction error and samples by the size of the code, of PCA, autoencoders and VAEs.

    python -m experiments.code_size
    python -m experiments.code_size --data mnist --latents 2 5 10 20

Time: about 30 s on two cores. Expected: every error falls from 2 to 5 numbers, and both networks beat PCA, the best
linear code, at each size. Obtained, squared error an image over 297 test images: with 2 numbers 3.42 +- 0.07 (PCA),
2.60 +- 0.09 (autoencoder), 2.48 +- 0.07 (VAE); with 5 numbers 2.16 +- 0.04, 1.11 +- 0.04, 1.25 +- 0.04. The VAE's noise
keeps two numbers from being overfitted; with five, the autoencoder is ahead, and only the VAE can draw. The VAE's -ELBO
falls from -7.6 +- 0.8 to -17.2 +- 0.5 nats.
"""

from dataclasses import dataclass
from typing import Any, Literal

from jaxvae.commands.cli import Workdir, parser
from jaxvae.commands.parts.launch import launch

EPOCHS = {"digits": 200, "mnist": 10}


@dataclass(frozen=True)
class CodeSizeOptions:
    """Trains an autoencoder and a VAE for each size of the code and prints their errors beside PCA's."""

    data: Literal["digits", "mnist"] = "digits"  # MNIST is found through TFDS_DATA_DIR.
    latents: tuple[int, ...] = (2, 5)  # Sizes of the code.
    epochs: int | None = None  # By default 200 on digits and 10 on MNIST.
    hidden: int = 256  # Units of the hidden layer on either side.
    limit: int = 2000  # Test images, picked by a fixed permutation.
    seed: int = 0  # Of everything random.
    workdir: Workdir = "runs/code_size"  # Where the pictures and the numbers go.


def main(options: CodeSizeOptions) -> None:
    """Trains, prints a table, saves the pictures."""
    import jax
    import numpy as np

    import jaxvae
    from experiments.lectures.linear_autoencoder import pca
    from experiments.tables.results import write_results
    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.progress import progress_bar
    from jaxvae.data.splits import some_rows
    from jaxvae.evaluation import plots
    from jaxvae.evaluation.bounds.likelihood import per_example
    from jaxvae.evaluation.latents import generation
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import mean_and_error

    if not options.latents:
        raise ValueError("latents is empty, expected at least one size, as in --latents 2 5.")
    sizes = [positive_integer("latents", size) for size in options.latents]
    limit = positive_integer("limit", options.limit, 12)
    epochs = positive_integer("epochs", EPOCHS[options.data] if options.epochs is None else options.epochs)
    train, test = (
        jaxvae.data.load(options.data, split).images.astype(np.float32) / np.float32(255) for split in ("train", "test")
    )
    raw, test = jaxvae.data.load(options.data, "train").images, test[some_rows(len(test), limit)]
    flat = train.reshape(len(train), -1)
    if max(sizes) > flat.shape[1]:
        raise ValueError(f"latents holds {max(sizes)}, expected at most {flat.shape[1]}, the number of pixels.")
    key_bound, key_draws = jax.random.split(jax.random.key(options.seed))
    rows: list[tuple[str, ...]] = []
    again: dict[str, Any] = {"original": test[:12]}
    drawn: dict[str, Any] = {}
    with progress_bar("training", 2 * len(sizes)) as progress:
        for done, size in enumerate(sizes):
            axes = pca(flat, size)[2]
            centred = test.reshape(len(test), -1) - flat.mean(0)
            errors = {"PCA": np.square(centred - centred @ axes @ axes.T).sum(1)}
            for variational in (False, True):
                name = "VAE" if variational else "autoencoder"
                model = build(options, train.shape[1:], size, variational)
                params, _ = jaxvae.fit(model, raw, protocol="grey", epochs=epochs, seed=options.seed, progress=False)
                means = generation.reconstructions(model, params, test)
                errors[name] = np.square(means - test).sum((1, 2, 3))
                again[f"{name}, {size}"] = means[:12]
                if variational:
                    bound = -per_example(model, params, key_bound, test)["elbo"]
                    drawn[f"{size} latents"] = model.to_unit(generation.prior_means(model, params, key_draws, 24))
                progress(2 * done + variational + 1)
            rows.append(
                (str(size), *(mean_and_error(errors[name]).text(2) for name in NAMES), mean_and_error(bound).text(2))
            )
    title = f"squared error an image: {options.data}, epochs: {epochs}, {len(test)} test images, seed {options.seed}"
    print_table(title, ("numbers in the code", *NAMES, "VAE's -ELBO, nats"), rows)
    figures = {
        "reconstructions": plots.compare(again, title="Reconstructions from codes of different size")[0],
        "samples": plots.compare(drawn, title="Draws of the VAE's prior, decoded")[0],
    }
    setting = {"data": options.data, "epochs": epochs, "images": len(test), "seed": options.seed}
    numbers = {row[0]: dict(zip((*NAMES, "-ELBO"), row[1:], strict=True)) for row in rows}
    write_results(options.workdir, {"setting": setting, "squared error": numbers}, figures)


NAMES = ("PCA", "autoencoder", "VAE")


def build(options: CodeSizeOptions, shape: tuple[int, ...], size: int, variational: bool) -> Any:
    """The autoencoder, or the VAE, with the same hidden layer on either side."""
    import jaxvae

    hidden = (options.hidden,)
    decoder = jaxvae.MLPDecoder(shape, hidden=hidden)
    common: dict[str, Any] = {"event_shape": shape, "latent_dim": size, "observation": jaxvae.normal(std=0.2)}
    if variational:
        return jaxvae.vae(jaxvae.MLPEncoder(size, hidden), decoder, **common)
    return jaxvae.autoencoder(jaxvae.MLPDeterministicEncoder(size, hidden), decoder, **common)


if __name__ == "__main__":
    launch(main, parser(CodeSizeOptions))
