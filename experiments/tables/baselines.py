"""The simplest densities on the data of a run: nats per example that any model has to beat.

    python -m experiments.baselines
    python -m experiments.baselines --data mnist --protocol dynamic --fit 4000 --limit 500 --samples 20 --components 20
    python -m experiments.baselines --data protein_density.npz --components 40

Of images with levels the histogram of each pixel is exact; Gaussians, mixtures and kernels are fitted to the levels
with uniform noise, which is a latent: what they print bounds log P of the very same levels. Of a table all are exact.

Time: 15 s of processor time for the digits. Expected: no density that is fitted in closed form knows much. Obtained,
nats a digit: the histogram 107.5 +- 0.5, exact; a mixture of ten Gaussians 121.1 +- 2.3, with diagonal covariances
125.0 +- 1.2, one Gaussian 128.6 +- 0.7, the kernel density 130.0 +- 0.5, all four bounds of 50 draws. The second
command, 44 s: 208.0 +- 2.1, exact; a mixture of twenty 282.6 +- 2.1, one Gaussian 303.6 +- 1.5, kernels 516.3 +- 1.7.
The third, 76 s, log p a row, exact: the mixture 0.59 +- 0.06, kernels -1.58 +- 0.18, one Gaussian -5.57 +- 0.22.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index


@dataclass(frozen=True)
class BaselinesOptions:
    """Fits a histogram, a Gaussian, a Gaussian mixture and a kernel density, and scores held-out examples."""

    data: str = "digits"  # A data set of images by its name, or a file of a table.
    protocol: Literal["levels", "dynamic", "threshold"] = "levels"  # How images become whole numbers.
    levels: int = 17  # Grey levels that the protocol levels tells apart; the digits have 17.
    components: int = 10  # Of the mixture.
    fit: int | None = None  # Only so many training examples, picked by a fixed permutation.
    limit: int | None = None  # Only so many test examples, the same way.
    samples: int = 50  # Draws of the noise between levels, of each example.
    seed: Index = 0  # Of the noise in what is fitted, and of the mixture's start.
    output: str | None = None  # Folder for results.json, .csv and .tex; by default nothing is written.


def main(options: BaselinesOptions) -> None:
    """Prints the table."""
    tabulated(options)


def tabulated(options: BaselinesOptions) -> dict[str, Any]:
    """{density: its `Measured` nearest to log p(x)}, which is printed."""
    import numpy as np

    from jaxvae.checks import positive_integer
    from jaxvae.commands.parts.progress import progress_bar
    from jaxvae.evaluation.bounds.report import evaluate
    from jaxvae.evaluation.measured import print_table
    from jaxvae.runs.configs.config import Config, DataConfig
    from jaxvae.runs.held_out import BINARY, load_held_out, load_run_data, setting_of
    from jaxvae.runs.tables.columns import own_units

    table = options.data.endswith((".csv", ".tsv", ".npy", ".npz"))
    protocol: Any = "standardize" if table else options.protocol
    asked = DataConfig(options.data, kind="table" if table else "images", protocol=protocol)
    config = Config(data=replace(asked, levels=options.levels) if protocol == "levels" else asked)
    data = load_run_data(config, "none").config.data
    train, test = load_held_out(data, data.train_split), load_held_out(data)
    if options.fit is not None:
        train = train.some(positive_integer("fit", options.fit, 20))
    setting = setting_of(data, test, options.limit)
    flat = train.x.reshape(len(train.x), -1)
    levels = 2 if test.protocol in BINARY or protocol == "threshold" else options.levels
    models = of_rows(flat, options) if table else of_levels(flat, levels, options)
    found, rows = {}, []
    with progress_bar("densities", len(models)) as progress:
        for done, (name, model) in enumerate(models.items()):
            progress(done)
            x = test.x.reshape(len(test.x), -1)
            measured = evaluate(model(), {}, x, setting, samples=options.samples, bin_width=None if table else 1.0)
            scores = {row.name: row for row in measured}
            best = next(scores[key] for key in ("-log p", f"-IW-{options.samples}") if key in scores)
            bits: Any = scores.get("bits per dimension", "")
            own: Any = "" if test.columns is None else own_units(best.estimate, test.columns)
            found[name] = best
            rows.append((name, best, own, bits, best.setting.evidence, best.setting.samples))
    unit = f"nats a {test.noun}"
    names = ("density", unit, f"{unit}, own units", "bits per dimension", "of log p(x)", "samples")
    shown = setting._replace(samples="", evidence="")
    caption = f"{shown}; fitted to {len(train.x)} of {data.train_split}, {np.prod(test.x.shape[1:])} dimensions"
    print_table(f"baselines on {options.data}", names, rows, caption)
    return found


def of_rows(x: Any, options: BaselinesOptions) -> dict[str, Any]:
    """Exact densities of rows [N, D], made when they are called."""
    from jaxvae.evaluation.fitted_priors import fit_gaussian_mixture, fit_kde, fit_normal
    from jaxvae.models.densities import density_model

    def model(p: Any) -> Any:
        return density_model(p, event_shape=x.shape[1:])

    return {
        "Gaussian, full covariance": lambda: model(fit_normal(x)),
        f"mixture of {options.components}": lambda: model(
            fit_gaussian_mixture(x, options.components, seed=options.seed)
        ),
        "kernel density": lambda: model(fit_kde(x, "cross_validation")),
    }


def of_levels(x: Any, levels: int, options: BaselinesOptions) -> dict[str, Any]:
    """Densities of whole numbers [N, D], made when they are called."""
    import functools

    import numpy as np

    from jaxvae.evaluation.fitted_priors import fit_gaussian_mixture, fit_histogram, fit_kde, fit_normal
    from jaxvae.models.densities import density_model, dequantized
    from jaxvae.models.observations.discrete import categorical

    shape = x.shape[1:]
    noise = np.random.default_rng(options.seed).uniform(size=x.shape)
    v = ((x + noise) / levels).astype(np.float32)

    def with_noise(p: Any) -> Any:
        return dequantized(p, levels, event_shape=shape)

    def mixture(covariance: str) -> Any:
        fitted = functools.partial(fit_gaussian_mixture, v, options.components, covariance=covariance)
        return lambda: with_noise(fitted(seed=options.seed))

    covariances = ("full", "diag") if x.shape[1] <= FULL else ("diag",)
    return {
        "histogram of each element": lambda: density_model(
            fit_histogram(x, levels), categorical(levels), event_shape=shape
        ),
        "Gaussian, full covariance": lambda: with_noise(fit_normal(v)),
        **{f"mixture of {options.components}, {kind} covariances": mixture(kind) for kind in covariances},
        "kernel density": lambda: with_noise(fit_kde(v, "cross_validation")),
    }


FULL = 100  # dimensions up to which a mixture has full covariances


if __name__ == "__main__":
    launch(main, parser(BaselinesOptions))
