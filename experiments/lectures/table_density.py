"""A flow beside the baselines on a table: one Gaussian, a mixture of many, and splines that mix the columns.

    python -m experiments.table_density protein_density.npz

The file holds float32 `train`, `valid` and `test` [N, D], standardised. The Gaussians and the mixture are fitted to
`train`; the flow keeps its best epoch by `valid`. All densities are exact, in nats a row of `test`.

Time: 2 minutes of processor time. Expected on the UCI protein table (repeated and dependent columns dropped, 35,214
rows to fit, 8 columns): the flow above the mixture, the mixture far above the Gaussian. Obtained on 4,402 rows: -5.57
+- 0.22 the Gaussian, 0.59 +- 0.06 the mixture of 40, 2.27 +- 0.06 the flow, row by row better than the mixture by 1.68
+- 0.03.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index


@dataclass(frozen=True)
class TableDensityOptions:
    """Exact log p of a table's rows: a Gaussian of full covariance, a mixture of such, and a spline flow."""

    table: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = "protein_density.npz"
    """An .npz with float arrays train, valid and test [N, D]."""
    components: int = 40  # Of the mixture.
    layers: int = 4  # Of the flow.
    hidden: tuple[int, ...] = (64, 64)  # Units of its networks.
    bins: int = 8  # Of each spline.
    epochs: int = 20  # Passes over the training rows.
    batch_size: int = 256  # Rows in a step.
    lr: float = 2e-3  # Learning rate, falling to 0 as a cosine.
    seed: Index = 0  # Of everything random.
    output: str | None = None  # Folder for numbers.json; by default nothing is written.


def main(options: TableDensityOptions) -> int:
    """Prints the table."""
    compared(options)
    return 0


def compared(options: TableDensityOptions) -> dict[str, Any]:
    """log p [N] of the test rows under each density, by its name; prints them as a table."""
    import jax
    import numpy as np

    import jaxvae
    from experiments.tables.results import write_results
    from jaxvae.checks import finite_number
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.statistics import mean_and_error

    finite_number("lr", options.lr, above=True)
    train, valid, test = splits(options.table)
    key, found = jax.random.key(options.seed), {}
    fits = {"Gaussian, full covariance": 1, f"mixture of {options.components}": options.components}
    for name, components in fits.items():
        fitted = jaxvae.evaluation.fitted_priors.fit_gaussian_mixture(
            train, components, covariance="full", seed=options.seed
        )
        found[name] = np.float64(jax.jit(jax.vmap(lambda x, p=fitted: p.log_prob({}, x, None)))(test))
    model = spline_flow(train, options)
    steps = options.epochs * (len(train) // options.batch_size)
    rate = jaxvae.training.learning_rate_schedule("cosine", options.lr, steps)
    sizes: dict[str, Any] = {"epochs": options.epochs, "batch_size": options.batch_size, "seed": options.seed}
    optimizer = jaxvae.training.make_optimizer("adam", rate, clip=5.0)
    params = jaxvae.fit(model, train, optimizer=optimizer, validation=valid, **sizes).params
    found["spline flow"] = np.float64(jaxvae.per_example(model, params, key, test)["log_p"])
    rows = [
        (
            name,
            mean_and_error(values).text(2, "nats"),
            "" if name == "spline flow" else mean_and_error(found["spline flow"] - values).text(2, "nats"),
        )
        for name, values in found.items()
    ]
    title = f"{options.table}: {len(train):,} rows to fit, {len(test):,} held out, {test.shape[1]} columns"
    print_table(title, ("density", "log p of a row", "by how much the flow is better, row by row"), rows, "exact")
    if options.output is not None:
        numbers = {
            name: dict(zip(("mean", "standard_error", "rows"), mean_and_error(v), strict=True))
            for name, v in found.items()
        }
        write_results(options.output, numbers, {})
    return found


def splits(path: str) -> tuple[Any, Any, Any]:
    """(train, valid, test) of the file, float32 [N, D]."""
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        missing = [name for name in ("train", "valid", "test") if name not in arrays]
        if missing:
            raise ValueError(f"{path} holds {sorted(arrays)}, expected train, valid and test [N, D].")
        train, valid, test = (np.float32(arrays[name]) for name in ("train", "valid", "test"))
    return train, valid, test


def spline_flow(rows: Any, options: TableDensityOptions) -> Any:
    """Autoregressive splines with trained matrices in between, as the kind `spline_flow` is of a table."""
    import functools

    from jaxvae.flows import autoregressive_flow, lu_linear, masked_autoregressive, spline_transform
    from jaxvae.models.densities import flow_model
    from jaxvae.networks.made import MADE

    columns = rows.shape[1]
    network = functools.partial(MADE, columns, hidden=options.hidden)
    flow = autoregressive_flow(
        masked_autoregressive,
        columns,
        network,
        spline_transform(options.bins),
        options.layers,
        between=lambda index: lu_linear(columns, seed=index),
    )
    return flow_model(flow, event_shape=(columns,), data=rows[:500])


if __name__ == "__main__":
    launch(main, parser(TableDensityOptions))
