"""A VAE small enough to compile in a moment, from networks that are no Flax modules."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvae.models.variational import vae
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import init_state
from jaxvae.training.losses.bound import bound_loss

SHAPE, LATENTS = (4, 4, 1), 3


class Linear(NamedTuple):
    """A network by hand: anything with .init and .apply will do."""

    size: int
    shape: tuple

    def init(self, key, x):
        return {"w": 0.3 * jax.random.normal(key, (x.size, self.size)), "b": jnp.zeros(self.size)}

    def apply(self, variables, x):
        return (x.reshape(-1) @ variables["w"] + variables["b"]).reshape(self.shape)


class Encoder(NamedTuple):
    linear: Linear = Linear(2 * LATENTS, (2, LATENTS))

    def init(self, key, x):
        return self.linear.init(key, x)

    def apply(self, variables, x):
        mean, log_var = self.linear.apply(variables, x)
        return mean, log_var


def small_vae(**options):
    """A linear VAE over 4x4 binary images with 3 latents."""
    return vae(Encoder(), Linear(16, SHAPE), event_shape=SHAPE, latent_dim=LATENTS, **options)


def images(count: int = 50, seed: int = 0) -> np.ndarray:
    """uint8 [count, 4, 4, 1]: left or right half bright, with noise."""
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, (count, 1, 1, 1))
    bright = (np.arange(4)[None, None, :, None] < 2) == side
    return (200 * np.broadcast_to(bright, (count, *SHAPE)) + rng.integers(0, 50, (count, *SHAPE))).astype(np.uint8)


def moved(params, scale: float = 0.3, seed: int = 1):
    """The same parameters with noise: a network some of whose layers start at 0 then hides nothing.

    NumPy draws it, since XLA would compile a program for each shape that a network has.
    """
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(np.asarray(leaf) + scale * rng.normal(size=np.shape(leaf)), leaf.dtype), params
    )


def binarize(key, image):
    return jax.random.bernoulli(key, image / 255.0).astype(jnp.float32)


def grey(key, image):
    return image / jnp.float32(255)


def setup(
    loss=None, optimizer=None, *, mode="jit", batch_size=10, ema=None, steps_per_call=20, preprocess=binarize, **options
):
    """(state, compiled) for the small VAE."""
    model = small_vae()
    optimizer = optax.sgd(1e-2) if optimizer is None else optimizer
    loss = bound_loss(model) if loss is None else loss
    state = init_state(model, optimizer, jax.random.key(0), jnp.zeros(SHAPE), ema=ema is not None)
    compiled = compile_steps(
        loss, optimizer, preprocess, batch_size=batch_size, steps_per_call=steps_per_call, mode=mode, ema=ema, **options
    )
    return state, compiled


def host(tree):
    """The tree as NumPy arrays, keys as their numbers."""

    def one(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return jax.tree.map(one, tree)


def same_bits(a, b) -> bool:
    """Whether two trees agree in structure and in every bit."""
    a, b = jax.tree.flatten(host(a)), jax.tree.flatten(host(b))
    return a[1] == b[1] and all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a[0], b[0], strict=True)
    )


def untrained(model, *data, **options):
    """In place of `jaxvae.fit`, where a test asks what an experiment does with a model and not how good it is."""
    return model.init(jax.random.key(0), jnp.zeros(model.event_shape)), []
