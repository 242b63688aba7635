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
    "down1": (4, 4, 1, 32),
    "down2": (4, 4, 32, 64),
    "hidden": (7 * 7 * 64, 256),
    "heads": (256, 2 * LATENT),
    "wide": (LATENT, 256),
    "grid": (256, 7 * 7 * 64),
    "up1": (4, 4, 64, 32),
    "up2": (4, 4, 32, 1),
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
        draw = jax.nn.initializers.lecun_normal()
        keys = jax.random.split(key, len(shapes))
        return {
            name: {"kernel": draw(k, shape), "bias": jnp.zeros(shape[-1])}
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

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
    """A 4x4 convolution with stride 2 and padding 1 as one matrix product, [H, W, C] -> [H / 2, W / 2, outputs].

    The kernel's first two axes count the 2x2 blocks of pixels it sees, then the pixels of a block. XLA runs native
    convolutions on a naive path inside loops on a CPU.
    """
    kernel = layer["kernel"]
    height, width, channels = (size + pad for size, pad in zip(x.shape, (2, 2, 0), strict=True))
    blocks = jnp.pad(x, ((1, 1), (1, 1), (0, 0))).reshape(height // 2, 2, width // 2, 2, channels)
    blocks = blocks.swapaxes(1, 2).reshape(height // 2, width // 2, 4 * channels)
    return _windows(blocks) @ kernel.reshape(-1, kernel.shape[-1]) + layer["bias"][None, None]


def upsample(layer: dict[str, Array], x: Array) -> Array:
    """A 4x4 transposed convolution with stride 2 and padding 1 as one product, [H, W, C] -> [2 H, 2 W, outputs].

    Each corner between input pixels sees the four around it and emits the four output pixels around it.
    """
    inputs, outputs = layer["kernel"].shape[2:]
    height, width, _ = x.shape
    corners = _windows(jnp.pad(x, ((1, 1), (1, 1), (0, 0)))) @ layer["kernel"].reshape(4 * inputs, 4 * outputs)
    pixels = corners.reshape(height + 1, width + 1, 2, 2, outputs).swapaxes(1, 2)
    return pixels.reshape(2 * height + 2, 2 * width + 2, outputs)[1:-1, 1:-1] + layer["bias"][None, None]


def _windows(x: Array) -> Array:
    """The 2x2 windows of x [H, W, C], [H - 1, W - 1, 4 C]."""
    return jnp.concatenate([x[:-1, :-1], x[:-1, 1:], x[1:, :-1], x[1:, 1:]], axis=-1)
