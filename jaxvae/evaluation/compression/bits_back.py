"""Lossless compression at the rate of the ELBO: bits back with a code or a chain of codes, and densities directly.

A sender who draws z from q(z | x) out of bits that are to be sent anyway pays -log2 p(x, z) and gets -log2 q(z | x)
back: on average -ELBO / log 2 bits for an image.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.compression.chain import Chain, chain_of, normal
from jaxvae.evaluation.compression.stack import SPARE, WORD, Stack, random_words
from jaxvae.models.records import Model, Params, check_batch

BITS, SIDE_BY_SIDE = 12, 100


class Stream(NamedTuple):
    """Compressed images.

    Attributes:
        words: uint32, 32 bits each.
        initial: how many words had to be there before the first image; `decompress` gives them back.
        images: how many images.
        bits: log2 of the buckets of a latent; group: images that are coded side by side.
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
    bits: int = BITS,
    group: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Stream:
    """Images as a stream of words, from which `decompress` makes the same images again.

    For each group of images, with codes z_1, ..., z_L in a chain (of a VAE L = 1, of a density there is none):
    pop z_1 ~ q(z_1 | x), push x with p(x | z_1), pop z_2 ~ q(z_2 | z_1), push z_1 with p(z_1 | z_2), ..., push z_L.

    Args:
        model, params: a VAE or hierarchy of Gaussian latents whose pixels are whole numbers up to an end, or an
            autoregressive density of such pixels.
        x: [N, *event_shape], in the units of the likelihood.
        bits: each latent has 2^bits buckets; more come nearer to the bound, and take longer.
        group: images side by side, by default 1 with latents, since the first group's codes are drawn out of initial
            bits, and 100 without.
        progress: called with the number of images done.

    Raises:
        ValueError: for a model that cannot be a coder, saying why, or values that are no whole numbers in its range.
        NotImplementedError: without the library that codes, naming the extra.

    Source: Townsend, Bird and Barber, 2019, arXiv 1901.04866; a chain, Kingma, Abbeel and Ho, 2019, arXiv 1905.06845
        (Bit-Swap); the idea, Hinton and van Camp, 1993, Keeping neural networks simple.

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
    chain = chain_of(model, params, bits)
    check_batch(model, x)
    x = _whole(np.asarray(x), chain)
    group = (1 if chain.buckets else SIDE_BY_SIDE) if group is None else positive_integer("group", group)
    # A pop takes at most 24 bits, so that every code of a group can be drawn out of so many words.
    count = SPARE + 1 + 24 * min(group, len(x)) * chain.latents // WORD if chain.buckets else 0
    while True:
        stack = Stack(random_words(count))
        for rows in groups(len(x), group):
            if progress is not None:
                progress(rows.start)
            _push(chain, stack, x[rows], rows.start)
        unused = max(0, stack.lowest - SPARE) if chain.buckets else 0
        if not chain.buckets or stack.lowest >= SPARE:
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
    chain, stack, parts = chain_of(model, params, stream.bits), Stack(stream.words), []
    for rows in reversed(groups(stream.images, stream.group)):
        parts.append(_pop(chain, stack, rows.stop - rows.start, rows.start))
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


def _push(chain: Chain, stack: Stack, x: np.ndarray, start: int) -> None:
    if not chain.buckets:
        chain.pixels.push(stack, x, ())
        return
    below: np.ndarray = x
    k_below = None
    for level, (q, buckets) in enumerate(zip(chain.q, chain.buckets, strict=True)):
        k = buckets.pop(stack, *normal(q, chain.params, below))
        z = buckets.codes(k)
        if k_below is None:
            chain.pixels.push(stack, x, chain.code(z))
        else:
            chain.buckets[level - 1].push(stack, k_below, *normal(chain.p[level - 1], chain.params, z))
        below, k_below = z, k
    assert k_below is not None
    top = chain.buckets[-1].number
    stack.push_even((k_below + _offsets(start, k_below.shape, top)).ravel() % top, top)


def _pop(chain: Chain, stack: Stack, count: int, start: int) -> np.ndarray:
    """The steps of `_push` backwards, each undone."""
    if not chain.buckets:
        return chain.pixels.pop(stack, (), count, chain.event_shape)
    top = chain.buckets[-1]
    k = stack.pop_even(count * len(top.mean), top.number).reshape(count, -1)
    k = (k - _offsets(start, k.shape, top.number)) % top.number
    for level in reversed(range(len(chain.buckets))):
        buckets, popped = chain.buckets[level], k
        z = buckets.codes(k)
        if level:
            k = chain.buckets[level - 1].pop(stack, *normal(chain.p[level - 1], chain.params, z))
            below = chain.buckets[level - 1].codes(k)
        else:
            below = chain.pixels.pop(stack, chain.code(z), count, chain.event_shape)
        buckets.push(stack, popped, *normal(chain.q[level], chain.params, below))
    return below


def _offsets(start: int, shape: tuple[int, ...], count: int) -> np.ndarray:
    """What is added to the buckets of the last code, all of them alike likely, of the group that begins with an image.

    The next code is drawn out of the bits on top, which are those of this one: where the posterior is near the prior
    it would be the same code again, image after image, and no average of many.
    """
    raw = np.random.Philox(key=start).random_raw(int(np.prod(shape))) >> np.uint64(32)
    return (raw % np.uint64(count)).astype(np.int64).reshape(shape)


def _whole(x: np.ndarray, chain: Chain) -> np.ndarray:
    """x as int32 in 0 .. L-1; raises `ValueError` for other values, which no entropy coder of the model could send."""
    levels = chain.levels
    if not ((x >= 0) & (x < levels) & (x == np.floor(x))).all():
        low, high = float(x.min()), float(x.max())
        raise ValueError(
            f"x has values between {low:.4g} and {high:.4g}, expected whole numbers 0 .. {levels - 1}, which are what "
            f"the likelihood gives a probability to. Take the protocol 'dynamic', 'threshold' or 'levels'."
        )
    return x.astype(np.float32)
