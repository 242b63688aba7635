"""The library's step written out by hand in plain JAX and Optax: what its layers would cost nothing against.

One key per example, grey pixels from resident uint8, finite guard, norm of the gradient, metrics of every step.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks.contenders import bare_networks

Array = jax.Array


@jax.custom_jvp
def cross_entropy(x: Array, logits: Array) -> Array:
    """Minus the Bernoulli log-likelihood [] in nats of one flat example."""
    return jnp.sum(jnp.maximum(logits, 0) - x * logits + jnp.log1p(jnp.exp(-jnp.abs(logits))))


@cross_entropy.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (x, logits), (dx, dlogits) = primals, tangents
    e = jnp.exp(-jnp.abs(logits))
    value = jnp.sum(jnp.maximum(logits, 0) - x * logits + jnp.log1p(e))
    mean = jnp.where(logits >= 0, 1.0, e) / (1 + e)
    return value, jnp.sum((mean - x) * dlogits - logits * dx)


def make(images: np.ndarray, model: str, batch: int, known: bool = False) -> Callable[[], float]:
    """Returns epoch() -> mean loss in nats per example; images are uint8 [N, 28, 28, 1].

    The number of steps is an argument of the program, as it is in the library's, unless it is to be known to XLA.
    """
    steps = len(images) // batch
    init, encode, decode = bare_networks.networks(model)
    adam = optax.adam(1e-3)
    resident, key = jnp.asarray(images), jax.random.key(0)

    def loss_of(params: Any, keys: Array, raw: Array) -> tuple[Array, dict[str, Array]]:
        def one(key: Array, image: Array) -> tuple[Array, Array]:
            x = image.astype(jnp.float32) / 255
            mean, log_var = encode(params, x)
            z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
            kl = 0.5 * (mean**2 + jnp.exp(log_var) - 1 - log_var)
            return cross_entropy(x.reshape(-1), decode(params, z).reshape(-1)), kl

        reconstruction, kl = jax.vmap(one)(keys, raw)
        per_latent = kl.mean(0)
        loss = reconstruction.mean() + per_latent.sum()
        return loss, {
            "loss": loss,
            "log_likelihood": -reconstruction.mean(),
            "kl": per_latent.sum(),
            "kl_per_latent": per_latent,
        }

    def step(step: Array, params: Any, moments: Any, raw: Array) -> tuple[Any, Any, dict[str, Array]]:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, step), jnp.arange(batch))
        (loss, metrics), gradient = jax.value_and_grad(loss_of, has_aux=True)(params, keys, raw)
        norm = optax.tree.norm(gradient)
        good = jnp.isfinite(loss) & jnp.isfinite(norm)

        def update() -> tuple[Any, Any]:
            updates, new = adam.update(gradient, moments, params)
            return optax.apply_updates(params, updates), new

        params, moments = jax.lax.cond(good, update, lambda: (params, moments))
        return params, moments, {**metrics, "gradient_norm": norm, "skipped": 1.0 - good}

    def train(state: Any, images: Array, count: Array) -> tuple[Any, dict[str, Array]]:
        order = jnp.argsort(jax.random.bits(jax.random.fold_in(key, state[0]), (len(images),)))

        def body(i: Array, carry: Any) -> Any:
            (t, params, moments), buffers = carry
            raw = images[jax.lax.dynamic_slice_in_dim(order, i * batch, batch)]
            params, moments, metrics = step(t, params, moments, raw)
            buffers = jax.tree.map(lambda buffer, m: buffer.at[i].set(m), buffers, metrics)
            return (t + 1, params, moments), buffers

        shapes = jax.eval_shape(step, *state, images[:batch])[2]
        buffers = jax.tree.map(lambda m: jnp.zeros((steps, *m.shape)), shapes)
        trained: tuple[Any, dict[str, Array]] = jax.lax.fori_loop(0, steps if known else count, body, (state, buffers))
        return trained

    params = jax.jit(init)(jax.random.key(1))
    state = (jnp.int32(0), params, jax.jit(adam.init)(params))
    compiled = jax.jit(train, donate_argnums=0)

    def epoch() -> float:
        nonlocal state
        state, metrics = compiled(state, resident, jnp.int32(steps))
        return float(np.mean(jax.device_get(metrics)["loss"]))

    return epoch
