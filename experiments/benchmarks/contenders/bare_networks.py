"""The two VAEs as plain functions of a dict of arrays, for one example x [28, 28, 1] and one z [20]."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

Array = jax.Array
Params = dict[str, dict[str, Array]]
Init = Callable[[Array], Params]
Encode = Callable[[Params, Array], tuple[Array, Array]]
Decode = Callable[[Params, Array], Array]
LATENT = 20

MLP = {"hidden": (784, 400), "heads": (400, 2 * LATENT), "wide": (LATENT, 400), "out": (400, 784)}
CONV = {
    "down1": (3, 3, 1, 32),
    "down2": (3, 3, 32, 64),
    "hidden": (7 * 7 * 64, 256),
    "heads": (256, 2 * LATENT),
    "wide": (LATENT, 256),
    "grid": (256, 7 * 7 * 64),
    "up1": (3, 3, 32, 64),
    "up2": (3, 3, 1, 32),
}


def networks(model: str) -> tuple[Init, Encode, Decode]:
    """(init(key) -> params, encode(params, x) -> (mean, log_var), decode(params, z) -> logits) of "mlp" or "conv"."""
    return _mlp() if model == "mlp" else _conv()


def dense(layer: dict[str, Array], x: Array) -> Array:
    """x [inputs] -> [outputs]."""
    return x @ layer["kernel"] + layer["bias"]


def heads(params: Params, h: Array) -> tuple[Array, Array]:
    """(mean [20], log_var [20]) from one product."""
    mean, log_var = jnp.split(dense(params["heads"], h), 2)
    return mean, log_var


def initialise(shapes: Mapping[str, tuple[int, ...]]) -> Init:
    """Weights from a truncated N(0, 1 / fan in), as Flax draws them, and biases 0."""

    def init(key: Array) -> Params:
        keys = jax.random.split(key, len(shapes))
        params = {}
        for k, (name, shape) in zip(keys, shapes.items(), strict=True):
            inputs, outputs = (-1, -2) if name.startswith("up") else (-2, -1)
            draw = jax.nn.initializers.lecun_normal(in_axis=inputs, out_axis=outputs)
            params[name] = {"kernel": draw(k, shape), "bias": jnp.zeros(shape[outputs])}
        return params

    return init


def _mlp() -> tuple[Init, Encode, Decode]:
    def encode(params: Params, x: Array) -> tuple[Array, Array]:
        h = jax.nn.relu(dense(params["hidden"], x.reshape(-1)))
        return heads(params, h)

    def decode(params: Params, z: Array) -> Array:
        return dense(params["out"], jax.nn.relu(dense(params["wide"], z)))

    return initialise(MLP), encode, decode


def _conv() -> tuple[Init, Encode, Decode]:
    relu = jax.nn.relu

    def encode(params: Params, x: Array) -> tuple[Array, Array]:
        h = relu(downsample(params["down2"], relu(downsample(params["down1"], x))))
        h = relu(dense(params["hidden"], h.reshape(-1)))
        return heads(params, h)

    def decode(params: Params, z: Array) -> Array:
        h = relu(dense(params["grid"], relu(dense(params["wide"], z)))).reshape(7, 7, 64)
        return upsample(params["up2"], relu(upsample(params["up1"], h)))

    return initialise(CONV), encode, decode


def downsample(layer: dict[str, Array], x: Array) -> Array:
    """A 3x3 convolution with stride 2 as one matrix product, [H, W, C] -> [H / 2, W / 2, outputs]."""
    return convolve(x, layer["kernel"]) + layer["bias"][None, None]


def upsample(layer: dict[str, Array], x: Array) -> Array:
    """Its transpose, [H, W, C] -> [2 H, 2 W, outputs]."""
    image = jax.ShapeDtypeStruct((2 * x.shape[0], 2 * x.shape[1], layer["kernel"].shape[2]), x.dtype)
    (product,) = jax.linear_transpose(lambda y: convolve(y, layer["kernel"]), image)(x)
    return product + layer["bias"][None, None]


def convolve(x: Array, kernel: Array) -> Array:
    """Nine slices and one product: XLA runs native convolutions on a naive path inside loops on a CPU."""
    height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 1), (0, 1), (0, 0)))
    slices = [padded[i : i + height - 1 : 2, j : j + width - 1 : 2] for i in range(3) for j in range(3)]
    return jnp.concatenate(slices, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
