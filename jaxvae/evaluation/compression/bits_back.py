"""Lossless compression at the rate of the ELBO: bits back with a code, codes in a chain or a flow, and densities.

A sender who draws z from q(z | x) out of bits that are to be sent anyway pays -log2 p(x, z) and gets -log2 q(z | x)
back: on average -ELBO / log 2 bits for an image.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.compression.chain import Chain, chain_of
from jaxvae.evaluation.compression.local import FINE, LocalFlow, local_flow
from jaxvae.evaluation.compression.stack import SPARE, WORD, Stack, random_words
from jaxvae.models.records import Model, Params, as_model, check_batch

BITS, SIDE_BY_SIDE = 12, 100
Coder = Chain | LocalFlow


class Stream(NamedTuple):
    """Compressed images.

    Attributes:
        words: uint32, 32 bits each.
        initial: how many words had to be there before the first image; `decompress` gives them back.
        images: how many images.
        bits: log2 of the buckets of a latent, or of the cells of a flow's grey level.
        group: images that are coded side by side.
    """

    words: np.ndarray
    initial: int
    images: int
    bits: int
    group: int


def compress(
    model: Model,
    params: Params,
    x: Any,
    *,
    bits: int | None = None,
    group: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Stream:
    """Images as a stream of words, from which `decompress` makes the same images again.

    For each group of images, with codes z_1, ..., z_L in a chain (of a VAE L = 1, of a density there is none):
    pop z_1 ~ q(z_1 | x), push x with p(x | z_1), pop z_2 ~ q(z_2 | z_1), push z_1 with p(z_1 | z_2), ..., push z_L.

    Args:
        model, params: a VAE or hierarchy of Gaussian latents whose pixels are whole numbers up to an end, an
            autoregressive density of such pixels, or a flow over their levels (`dequantized`, by local bits back: the
            Jacobian of every image is computed, which a flow of thousands of pixels makes slow).
        x: [N, *event_shape], in the units of the likelihood.
        bits: each latent has 2^bits buckets, by default 2^12; more come nearer to the bound, and take longer. Of a
            flow, each grey level has so many cells, by default 2^18.
        group: images side by side, by default 1 with latents, since the first group's codes are drawn out of initial
            bits, and 100 without.
        progress: called with the number of images done.

    Raises:
        ValueError: for a model that cannot be a coder, saying why, or values that are no whole numbers in its range.
        NotImplementedError: without the library that codes, naming the extra.

    Source: Townsend, Bird and Barber, 2019, arXiv 1901.04866; a chain, Kingma, Abbeel and Ho, 2019, arXiv 1905.06845
        (Bit-Swap); flows, Ho, Lohn and Abbeel, 2019, arXiv 1905.08500; the idea, Hinton and van Camp,
        1993, Keeping neural networks simple.

    Example:
        >>> import jax
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2, (8,)), MLPDecoder((4, 4, 1), hidden=(8,)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = np.eye(4, dtype=np.float32)[None, ..., None].repeat(5, 0)
        >>> params = jax.jit(model.init)(jax.random.key(0), x[0])
        >>> stream = compress(model, params, x)
        >>> bool((decompress(model, params, stream) == x).all())
        True
    """
    as_model("model", model)
    bits = (BITS if model.prior.flow is None else FINE) if bits is None else bits
    coder = coder_of(model, params, bits)
    check_batch(model, x)
    x = _whole(np.asarray(x), coder.levels)
    group = (1 if coder.latents else SIDE_BY_SIDE) if group is None else positive_integer("group", group)
    # A pop takes at most 24 bits, so that every code of a group can be drawn out of so many words.
    count = SPARE + 1 + 24 * min(group, len(x)) * coder.latents // WORD if coder.latents else 0
    while True:
        stack = Stack(random_words(count))
        for rows in groups(len(x), group):
            if progress is not None:
                progress(rows.start)
            coder.push(stack, x[rows], rows.start)
        unused = max(0, stack.lowest - SPARE) if coder.latents else 0
        if not coder.latents or stack.lowest >= SPARE:
            return Stream(stack.words()[unused:], count - unused, len(x), bits, group)
        count *= 2  # the codes of later groups took more than their images gave


def decompress(
    model: Model, params: Params, stream: Stream, *, progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """The images [N, *event_shape] of a stream, float32, bit for bit.

    Raises:
        ValueError: if the words that were there at first do not come back: the stream is damaged, or was made with
            another model or on a machine that rounds in another way.
    """
    coder, stack, parts = coder_of(model, params, stream.bits), Stack(stream.words), []
    for rows in reversed(groups(stream.images, stream.group)):
        parts.append(coder.pop(stack, rows.stop - rows.start, rows.start))
        if progress is not None:
            progress(stream.images - rows.start)
    if not np.array_equal(stack.words(), random_words(stream.initial)):
        raise ValueError(
            "the stream does not come back to the words it began with: it is damaged, or was made with another model, "
            "or on a machine that rounds in another way."
        )
    return np.concatenate(parts[::-1])


def groups(count: int, size: int) -> list[slice]:
    """The images of each group, in order.

    Example:
        >>> groups(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def coder_of(model: Model, params: Params, bits: int) -> Coder:
    """What pushes and pops the images of a model; raises `ValueError` for one that cannot be a coder, saying why."""
    as_model("model", model)
    of_levels = model.prior.flow is not None and model.prior.support == "bins"
    return local_flow(model, params, bits) if of_levels else chain_of(model, params, bits)


def _whole(x: np.ndarray, levels: int) -> np.ndarray:
    """x as int32 in 0 .. L-1; raises `ValueError` for other values, which no entropy coder of the model could send."""
    if not ((x >= 0) & (x < levels) & (x == np.floor(x))).all():
        low, high = float(x.min()), float(x.max())
        raise ValueError(
            f"x has values between {low:.4g} and {high:.4g}, expected whole numbers 0 .. {levels - 1}, which are what "
            f"the likelihood gives a probability to. Take the protocol 'dynamic', 'threshold' or 'levels'."
        )
    return x.astype(np.float32)
