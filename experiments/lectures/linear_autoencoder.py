"""A linear autoencoder beside principal component analysis: the same subspace, found by its gradients.

    python -m experiments.linear_autoencoder

Time: 15 s on two cores. Expected: on the 8x8 digits a reconstruction error within 0.1 % of PCA's and principal angles
below 1 degree; for five points in the plane the codes (-0.63, -0.39, 0.09, 0.41, 0.53). Obtained: 0.0000 %,
0.04 degrees, and those codes for both.

The autoencoder's own code is any invertible linear map of PCA's, so its reconstructions are compared, and its subspace;
the codes shown for the five points are the coordinates along the axis that its decoder learned.
"""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch

SLOPE, PATIENCE = 1e-6, 100  # of the first gradient's norm; steps without progress
POINTS = ((-0.50, -0.40), (-0.40, -0.10), (0.10, 0.00), (0.30, 0.30), (0.50, 0.20))


@dataclass(frozen=True)
class LinearOptions:
    """Trains a linear autoencoder on digits and on five points, and prints it beside PCA."""

    latent_dim: int = 8  # Length of the code for the digits.
    steps: int = 6000  # Of L-BFGS on all examples, at most: it stops where the error no longer falls.
    seed: int = 0  # Of the initial weights.
    output: str = "runs/linear_autoencoder"  # Folder for results.json, .csv and .tex.


def main(options: LinearOptions) -> None:
    """Prints both tables."""
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer
    from jaxvae.evaluation.measured import print_table
    from jaxvae.evaluation.written import number

    steps, latent_dim = positive_integer("steps", options.steps), positive_integer("latent_dim", options.latent_dim)
    digits = jaxvae.data.load("digits").images.reshape(-1, 64).astype(np.float32) / np.float32(255)
    if latent_dim > 60:
        raise ValueError(f"latent_dim is {latent_dim}, expected at most 60: only 61 of the 64 pixels ever change.")
    _, found, axes = trained(digits, latent_dim, steps, options.seed)
    _, best, principal = pca(digits, latent_dim)
    errors = [np.square(digits - again).sum(1).mean() for again in (best, found)]
    cosines = np.linalg.svd(axes.T @ principal)[1]
    angle = np.degrees(np.arcsin(np.sqrt(np.clip(1 - cosines**2, 0, 1)))).max()
    lines = [
        ("PCA", number(errors[0], ".5f"), "", ""),
        (
            "linear autoencoder",
            number(errors[1], ".5f"),
            number(100 * (errors[1] / errors[0] - 1), "+.4f"),
            number(angle, ".4f"),
        ),
    ]
    names = ("digits", "squared error an image", "more than PCA, %", "largest principal angle, degrees")
    print_table(f"{latent_dim} of 64 dimensions, seed {options.seed}", names, lines)

    points = np.array(POINTS, np.float32)
    code, again, axis = trained(points, 1, steps, options.seed)
    best_code, best_again, best_axis = pca(points, 1)
    rows: list[tuple[Any, ...]] = [
        (pair(point), number(best_code[i, 0]), pair(best_again[i]), number(code[i, 0]), pair(again[i]))
        for i, point in enumerate(points)
    ]
    rows.append(("axis", "", pair(best_axis[:, 0]), "", pair(axis[:, 0])))
    print_table(
        "five points", ("point", "PCA's code", "PCA's point", "autoencoder's code", "autoencoder's point"), rows
    )


def pair(point: Any) -> str:
    """A point of the plane."""
    return f"({point[0]:.2f}, {point[1]:.2f})"


def pca(x: Any, latent_dim: int) -> tuple[Any, Any, Any]:
    """(codes [N, L], reconstructions [N, D], axes [D, L]) by the singular value decomposition, in float64."""
    import numpy as np

    mean = x.mean(0, dtype=np.float64)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][:latent_dim].T
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)
    code = (x - mean) @ axes
    return code, code @ axes.T + mean, axes


def trained(x: Any, latent_dim: int, steps: int, seed: int) -> tuple[Any, Any, Any]:
    """The same three of a trained autoencoder without hidden layers, its codes along orthonormal axes.

    All of x at once, by L-BFGS, on the scale where x has mean 0 and variance 1; until the gradient has fallen to
    `SLOPE` of what it was, or the loss no longer falls. Where neither happens within the steps a line says so.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    import jaxvae

    size, center, scale = x.shape[1], x.mean(0, dtype=np.float64), float(np.std(x, dtype=np.float64)) or 1.0
    rows = jnp.asarray((x - center) / scale, jnp.float32)
    model = jaxvae.autoencoder(
        jaxvae.MLPDeterministicEncoder(latent_dim, ()),
        jaxvae.MLPDecoder((size,), hidden=()),
        event_shape=(size,),
        latent_dim=latent_dim,
        observation=jaxvae.normal(std=1.0),
    )

    def again(params: Any, row: Any) -> Any:
        return model.likelihood.mean(params, model.posterior.mean(params, row))

    def error(params: Any) -> Any:  # minus the log-likelihood of a unit normal, less its constant, which costs digits
        return jnp.square(jax.vmap(again, (None, 0))(params, rows) - rows).sum(1).mean()

    params, taken, converged = descend(error, model.init(jax.random.key(seed), rows[0]), steps)
    if not converged:
        print(f"The linear autoencoder has not converged after {taken} steps: its error still falls. Raise --steps.")
    found = np.float64(jax.vmap(again, (None, 0))(params, rows)) * scale
    axes = np.linalg.qr(np.float64(params["decoder"]["params"]["Dense_0"]["kernel"]).T)[0]
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)
    return found @ axes, found + center, axes


def descend(value: Any, start: Any, steps: int) -> tuple[Any, int, bool]:
    """L-BFGS: (params, the steps it took, whether it came to the end); the loss may be flat there to float32.

    The end is where the gradient has fallen to `SLOPE` of its first norm, or the best loss has not fallen for
    `PATIENCE` steps.

    Example:
        >>> import jax.numpy as jnp
        >>> found, taken, converged = descend(lambda x: jnp.sum((x - 3.0) ** 2), jnp.zeros(2), 100)
        >>> bool(jnp.abs(found - 3.0).max() < 1e-5), converged
        (True, True)
    """
    import jax
    import jax.numpy as jnp
    import optax

    solver = optax.lbfgs()
    slope = optax.value_and_grad_from_state(value)
    first = optax.tree.norm(jax.grad(value)(start))

    def going(carry: Any) -> Any:
        _, _, taken, _, still, norm = carry
        return (taken < steps) & (still < PATIENCE) & (norm > SLOPE * first)

    def step(carry: Any) -> Any:
        params, state, taken, best, still, _ = carry
        loss, gradient = slope(params, state=state)
        updates, state = solver.update(gradient, state, params, value=loss, grad=gradient, value_fn=value)
        still = jnp.where(loss < best, 0, still + 1)
        params = optax.apply_updates(params, updates)
        return params, state, taken + 1, jnp.minimum(loss, best), still, optax.tree.norm(gradient)

    begin = (start, solver.init(start), 0, jnp.float32(jnp.inf), 0, jnp.float32(jnp.inf))
    params, _, taken, _, still, norm = jax.jit(lambda carry: jax.lax.while_loop(going, step, carry))(begin)
    return params, int(taken), bool((still >= PATIENCE) | (norm <= SLOPE * first))


if __name__ == "__main__":
    launch(main, parser(LinearOptions))
