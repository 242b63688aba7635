"""No training at all: the matrix products of one step and nothing else, a ceiling for programs on this machine.

Convolutions count as the product of their slices with the kernel. What is left out is everything that is no product:
activations, the loss, random numbers, the optimizer, the cutting of slices. The "loss" is zero.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.contenders.bare_networks import CONV, MLP
from jaxvae.networks.precision import rounds

Array = jax.Array
POSITIONS = {"down1": 14 * 14, "down2": 7 * 7, "up1": 7 * 7, "up2": 14 * 14}  # rows that one image gives a product


def shapes(model: str, batch: int) -> list[tuple[int, int, int]]:
    """(rows, inner, columns) of every product of a step: forward, gradient of the weights, gradient of the inputs."""
    found = []
    layers = MLP if model == "mlp" else CONV
    for name, (*inputs, outputs) in layers.items():
        m, k, n = batch * POSITIONS.get(name, 1), int(np.prod(inputs)), outputs
        if name.startswith("up"):  # kernels of the transpose are stored as those of the convolution
            k, n = outputs, int(np.prod(inputs))
        first = name == next(iter(layers))
        found += [(m, k, n), (k, m, n)] + ([] if first else [(m, n, k)])
    return found


def make(images: np.ndarray, model: str, batch: int) -> Callable[[], float]:
    """Returns epoch() -> 0.0, which runs the products of as many steps as an epoch has."""
    steps = len(images) // batch
    sizes = shapes(model, batch)
    operands = [(jnp.full((m, k), 1e-3), jnp.full((k, n), 1e-3)) for m, k, n in sizes]

    @jax.jit
    def train(operands: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
        dtype = jnp.bfloat16 if rounds() else jnp.float32  # rounded once, not in every step
        operands = [(a.astype(dtype), b.astype(dtype)) for a, b in operands]

        def body(i: Array, operands: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
            # One number of each product goes into the next step's operand, so that none is hoisted or left out.
            multiply = functools.partial(jnp.matmul, preferred_element_type=jnp.float32)
            products = [jax.lax.optimization_barrier(multiply(a, b)) for a, b in operands]
            return [
                (a.at[0, 0].set((1e-3 * product[0, 0]).astype(dtype)), b)
                for (a, b), product in zip(operands, products, strict=True)
            ]

        return jax.lax.fori_loop(0, steps, body, operands)

    def epoch() -> float:
        jax.block_until_ready(train(operands))
        return 0.0

    return epoch
