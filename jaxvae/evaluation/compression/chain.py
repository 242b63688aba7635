"""A model as a coder: its conditionals, a grid of buckets for each code, and what it must be to be one."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.compression.buckets import Buckets
from jaxvae.evaluation.compression.pixels import Pixels, levels_of
from jaxvae.evaluation.compression.stack import Stack
from jaxvae.models.records import Conditional, Model, Params, as_model

LEAST_BITS, MOST_BITS = 2, 20  # of a latent
ANCESTORS = 2000  # draws of the model whose moments place the buckets of a chain


class Chain(NamedTuple):
    """q(z_1 | x), q(z_2 | z_1), ... and p(x | z_1), p(z_1 | z_2), ..., p(z_L); without latents p(x) alone.

    Attributes:
        q, p: of each code; they have a `distribution`.
        buckets: of each code.
        pixels: p(x | z_1).
        levels: a pixel is one of 0 .. levels - 1.
        params: of the model.
        event_shape: of an image.
        grouped: whether the model's code is a tuple (z_1, ..., z_L).
    """

    q: tuple[Conditional, ...]
    p: tuple[Conditional, ...]
    buckets: tuple[Buckets, ...]
    pixels: Pixels
    levels: int
    params: Params
    event_shape: tuple[int, ...]
    grouped: bool

    @property
    def latents(self) -> int:
        """Real numbers in the code of an image."""
        return sum(len(buckets.mean) for buckets in self.buckets)

    def code(self, z: np.ndarray) -> Any:
        """z_1 as the likelihood is told of it."""
        return (z,) if self.grouped else z

    def push(self, stack: Stack, x: np.ndarray, start: int) -> None:
        """Images [G, ...] from number `start` on."""
        if not self.buckets:
            self.pixels.push(stack, x, ())
            return
        below: np.ndarray = x
        k_below = None
        for level, (q, buckets) in enumerate(zip(self.q, self.buckets, strict=True)):
            k = buckets.pop(stack, *normal(q, self.params, below))
            z = buckets.codes(k)
            if k_below is None:
                self.pixels.push(stack, x, self.code(z))
            else:
                self.buckets[level - 1].push(stack, k_below, *normal(self.p[level - 1], self.params, z))
            below, k_below = z, k
        assert k_below is not None
        top = self.buckets[-1].number
        stack.push_even((k_below + _offsets(start, k_below.shape, top)).ravel() % top, top)

    def pop(self, stack: Stack, count: int, start: int) -> np.ndarray:
        """The steps of `push` backwards, each undone: images [count, *event_shape]."""
        if not self.buckets:
            return self.pixels.pop(stack, (), count, self.event_shape)
        top = self.buckets[-1]
        k = stack.pop_even(count * len(top.mean), top.number).reshape(count, -1)
        k = (k - _offsets(start, k.shape, top.number)) % top.number
        for level in reversed(range(len(self.buckets))):
            buckets, popped = self.buckets[level], k
            z = buckets.codes(k)
            if level:
                k = self.buckets[level - 1].pop(stack, *normal(self.p[level - 1], self.params, z))
                below = self.buckets[level - 1].codes(k)
            else:
                below = self.pixels.pop(stack, self.code(z), count, self.event_shape)
            buckets.push(stack, popped, *normal(self.q[level], self.params, below))
        return below


def chain_of(model: Model, params: Params, bits: int) -> Chain:
    """The chain of a model; raises `ValueError` for one that cannot be a coder, saying why.

    Args:
        model, params: as `compress` takes them.
        bits: log2 of the buckets of a latent.
    """
    as_model("model", model)
    if not LEAST_BITS <= positive_integer("bits", bits) <= MOST_BITS:
        raise ValueError(f"bits is {bits}, expected {LEAST_BITS} .. {MOST_BITS}: a latent has 2^bits buckets.")
    p_x = model.likelihood
    if model.context is not None:
        raise ValueError("the model is told a context, expected one without: the receiver would have to know it.")
    if p_x.flow is not None:
        raise ValueError(
            "the pixels of this flow are real numbers, expected levels, which are finite in number: train it with the "
            "protocol 'levels', or make it with dequantized(p, levels, ...)."
        )
    if p_x.level_log_probs is None and p_x.visit is None:
        raise ValueError(
            "the pixels of this model are no whole numbers with an end, or all of them are scored together, expected "
            "a likelihood such as bernoulli of binary pixels, discretized_logistic or categorical: an entropy coder "
            "needs the probability of every value."
        )
    shape = tuple(model.event_shape)
    if model.evidence == "exact":
        return Chain((), (), (), Pixels(p_x, params), levels_of(p_x, params, ()), params, shape, False)
    q, p = model.posterior.groups or (model.posterior,), model.prior.groups or (model.prior,)
    if model.evidence != "weights" or any(part.distribution is None for part in (*q, *p)) or len(q) != len(p):
        raise ValueError(
            "the latents of this model are no Gaussians under both the prior and the posterior, expected a vae with a "
            "standard normal prior and a diagonal posterior, a hierarchical one of such layers, or an autoregressive "
            "density: buckets of a latent need its mean and its variance."
        )
    mean, log_var = normal(p[-1], params, None)
    placed = [*_moments(model.prior, params)[: len(p) - 1], (mean, np.exp(0.5 * log_var))]
    buckets, grouped = tuple(Buckets(*pair, bits) for pair in placed), model.posterior.groups is not None
    z = buckets[0].codes(np.zeros(len(buckets[0].mean), np.int32))
    levels = levels_of(p_x, params, (z,) if grouped else z)
    return Chain(q, p, buckets, Pixels(p_x, params), levels, params, shape, grouped)


def normal(part: Conditional, params: Params, context: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log-variance of N(mean, variance) = part(. | context), float64; [G, Z] for contexts [G, ...].

    Example:
        >>> from jaxvae.models.priors.standard import standard_normal
        >>> normal(standard_normal(2), {}, None)[0].tolist()
        [0.0, 0.0]
    """
    mean, log_var = jax.device_get(_distribution(part, params, context))
    return np.asarray(mean, np.float64), np.asarray(log_var, np.float64)


@functools.partial(jax.jit, static_argnums=0)
def _distribution(part: Conditional, params: Params, context: Any) -> Any:
    distribution: Any = part.distribution
    return distribution(params, None) if context is None else jax.vmap(distribution, (None, 0))(params, context)


def _moments(prior: Conditional, params: Params) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and standard deviation of each code of a chain under the model, of draws that both sides can make."""
    if prior.groups is None:
        return []
    z = jax.device_get(_ancestors(prior, params, jax.random.key(0)))
    return [(leaf.mean(0, np.float64), leaf.std(0, dtype=np.float64)) for leaf in z]


@functools.partial(jax.jit, static_argnums=0)
def _ancestors(prior: Conditional, params: Params, key: Any) -> Any:
    return jax.vmap(lambda k: prior.sample(params, k, None)[0])(jax.random.split(key, ANCESTORS))


def _offsets(start: int, shape: tuple[int, ...], count: int) -> np.ndarray:
    """What is added to the buckets of the last code, all of them alike likely, of the group that begins with an image.

    The next code is drawn out of the bits on top, which are those of this one: where the posterior is near the prior
    it would be the same code again, image after image, and no average of many.
    """
    raw = np.random.Philox(key=start).random_raw(int(np.prod(shape))) >> np.uint64(32)
    return (raw % np.uint64(count)).astype(np.int64).reshape(shape)
