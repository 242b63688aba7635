"""A linear autoencoder beside principal component analysis: the same subspace, found by gradient descent.

    python -m experiments.linear_autoencoder

Time: 15 s on two cores. Expected: on the 8x8 digits a reconstruction error within 0.1 % of PCA's and principal angles
below 1 degree; for five points in the plane the codes (-0.63, -0.39, 0.09, 0.41, 0.53). Obtained: 0.0000 %,
0.03 degrees, and those codes for both.

The autoencoder's own code is any invertible linear map of PCA's, so its reconstructions are compared, and its subspace;
the codes shown for the five points are the coordinates along the axis that its decoder learned.
"""

from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import parser
from jaxvae.commands.launch import launch

COPIES = 50  # of the data in an epoch, so that one compiled call takes many steps
POINTS = ((-0.50, -0.40), (-0.40, -0.10), (0.10, 0.00), (0.30, 0.30), (0.50, 0.20))


@dataclass(frozen=True)
class LinearOptions:
    """Trains a linear autoencoder on digits and on five points, and prints it beside PCA."""

    latent_dim: int = 8  # Length of the code for the digits.
    steps: int = 6000  # Optimiser steps, each on as many examples as there are.
    seed: int = 0  # Of the initial weights.


def main(options: LinearOptions) -> None:
    """Prints both tables."""
    import numpy as np

    import jaxvae
    from jaxvae.checks import positive_integer

    steps, latent_dim = positive_integer("steps", options.steps), positive_integer("latent_dim", options.latent_dim)
    digits = jaxvae.data.load("digits").images.reshape(-1, 64).astype(np.float32) / np.float32(255)
    if latent_dim > 60:
        raise ValueError(f"latent_dim is {latent_dim}, expected at most 60: only 61 of the 64 pixels ever change.")
    _, found, axes = trained(digits, latent_dim, steps, options.seed)
    _, best, principal = pca(digits, latent_dim)
    errors = [np.square(digits - again).sum(1).mean() for again in (best, found)]
    cosines = np.linalg.svd(axes.T @ principal)[1]
    angle = np.degrees(np.arcsin(np.sqrt(np.clip(1 - cosines**2, 0, 1)))).max()
    print(f"digits, {latent_dim} of 64 dimensions    squared error an image")
    print(f"PCA                              {errors[0]:.5f}")
    print(f"linear autoencoder               {errors[1]:.5f}   ({100 * (errors[1] / errors[0] - 1):+.4f} %)")
    print(f"largest principal angle          {angle:.4f} degrees\n")

    points = np.array(POINTS, np.float32)
    code, again, axis = trained(points, 1, steps, options.seed)
    best_code, best_again, best_axis = pca(points, 1)
    print("five points         PCA's code  reconstruction     autoencoder's  reconstruction")
    for i, point in enumerate(points):
        row = [f"({x:5.2f}, {y:5.2f})" for x, y in (point, best_again[i], again[i])]
        print(f"{row[0]}      {best_code[i, 0]:5.2f}   {row[1]}             {code[i, 0]:5.2f}  {row[2]}")
    print(f"axis                        ({', '.join(f'{x:.2f}' for x in best_axis[:, 0])})", end="")
    print(f"                       ({', '.join(f'{x:.2f}' for x in axis[:, 0])})")


def pca(x: Any, latent_dim: int) -> tuple[Any, Any, Any]:
    """(codes [N, L], reconstructions [N, D], axes [D, L]) by the singular value decomposition, in float64."""
    import numpy as np

    mean = x.mean(0, dtype=np.float64)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][:latent_dim].T
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)
    code = (x - mean) @ axes
    return code, code @ axes.T + mean, axes


def trained(x: Any, latent_dim: int, steps: int, seed: int) -> tuple[Any, Any, Any]:
    """The same three of a trained autoencoder without hidden layers, its codes along orthonormal axes."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    import jaxvae

    size = x.shape[1]
    model = jaxvae.autoencoder(
        jaxvae.MLPDeterministicEncoder(latent_dim, ()),
        jaxvae.MLPDecoder((size,), hidden=()),
        event_shape=(size,),
        latent_dim=latent_dim,
        observation=jaxvae.normal(std=1.0),
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, steps))
    compiled = jaxvae.compile_steps(
        jaxvae.bound_loss(model), optimizer, lambda key, row: row, batch_size=len(x), steps_per_call=COPIES, mode="jit"
    )
    state = jaxvae.init_state(model, optimizer, jax.random.key(seed), jnp.zeros(size))
    for report in jaxvae.train(compiled, state, np.tile(x, (COPIES, 1)), steps):
        state = report.state
    z = jax.vmap(model.posterior.mean, (None, 0))(state.params, jnp.asarray(x))
    again = np.float64(jax.vmap(model.likelihood.mean, (None, 0))(state.params, z))
    axes = np.linalg.qr(np.float64(state.params["decoder"]["params"]["Dense_0"]["kernel"]).T)[0]
    axes = axes * np.where(axes.sum(0) < 0, -1, 1)
    return (again - x.mean(0, dtype=np.float64)) @ axes, again, axes


if __name__ == "__main__":
    launch(main, parser(LinearOptions))
