"""Rare examples drawn more often: sampling probabilities from how rare an example's code is."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.latents.codes import active_latents, encode
from jaxvae.evaluation.statistics import varying
from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Model, Params
from jaxvae.training.engine.sampler import effective_examples as effective_examples
from jaxvae.training.engine.step import Preprocess

Array = jax.Array
COMBINATIONS = ("product", "maximum")


def resampling_weights(
    means: Array | np.ndarray,
    *,
    bins: int = 10,
    alpha: float = 0.01,
    combine: str = "product",
    at_least: float = 0.0,
) -> np.ndarray:
    r"""W(x) = c prod_i 1 / (Q_i(z_i(x)) + alpha): the probability of each example to be drawn, the rarer the higher.

    Q_i is a histogram of latent i over all examples: the share of them in the bin of x, whatever the latent's units.
    As alpha grows all examples become alike; near 0 the draws of one latent tend to be uniform over its bins. A product
    of many latents leaves few examples with most of the probability, see `effective_examples`.

    Args:
        means: [N, Z] the posterior mean of each training example, as in the authors' course notebook (MIT 6.S191, lab
            2). The paper's Algorithm 1 fills the histograms with a sample z ~ q(z | x) of each.
        bins: of each histogram, of equal width from the smallest to the largest mean; the notebook has 10.
        alpha: above 0, in shares of the examples. The notebook adds its own (0.001) to a density, per unit of the
            latent: divided by the width of a bin, this alpha does the same.
        combine: "product", the paper's equation 4, or "maximum" over latents of each latent's own probabilities, as the
            notebook has it, which is milder.
        at_least: alpha is raised until the draws are worth this share of the examples, by `effective_examples`. In
            training a small alpha feeds on itself: what is drawn often gets codes of its own, and is drawn the more.
            Neither the paper nor the notebook has this: alpha is tuned by hand there; 0 leaves alpha alone.

    Returns:
        [N] float64, positive, with the sum 1.

    Raises:
        ValueError, TypeError: for other shapes or values that are not finite, impossible bins, an alpha that is not
            above 0, an at_least outside [0, 0.99], or another combination.

    Source: Amini, Soleimany, Schwarting, Bhatia and Rus, 2019, doi 10.1145/3306618.3314243.

    Example:
        >>> means = np.array([[0.0], [0.0], [0.0], [1.0]])
        >>> [round(float(weight), 2) for weight in resampling_weights(means, bins=2, alpha=1e-9)]
        [0.17, 0.17, 0.17, 0.5]
    """
    codes = np.asarray(means, np.float64)
    bins = positive_integer("bins", bins)
    finite_number("alpha", alpha, above=True)
    finite_number("at_least", at_least, high=0.99)
    if combine not in COMBINATIONS:
        raise ValueError(f"combine is {combine!r}, expected 'product' or 'maximum'.")
    if codes.ndim != 2 or len(codes) == 0 or not np.isfinite(codes).all():
        raise ValueError(f"means has shape {codes.shape}, expected finite numbers (N, Z), a row for each example.")
    if codes.shape[1] == 0:
        return np.full(len(codes), 1 / len(codes))
    alike = ~varying(np.asarray(means))
    shares = np.stack([_shares(column, bins) for column in codes.T])
    shares[alike] = 1.0  # what rounding leaves of a constant tells nothing
    weights = _combined(shares, alpha, combine)
    if effective_examples(weights) >= at_least * len(codes):
        return weights
    low, high = np.log(alpha), np.log(alpha) + 1
    while effective_examples(_combined(shares, np.exp(high), combine)) < at_least * len(codes):
        high += 1
    for _ in range(20):
        middle = (low + high) / 2
        enough = effective_examples(_combined(shares, np.exp(middle), combine)) >= at_least * len(codes)
        low, high = (low, middle) if enough else (middle, high)
    return _combined(shares, np.exp(high), combine)


def _shares(values: np.ndarray, bins: int) -> np.ndarray:
    """Q(value) of each value: the share of all in its bin."""
    low, high = values.min(), values.max()
    if high == low:
        return np.ones(len(values))
    index = np.minimum(((values - low) / (high - low) * bins).astype(int), bins - 1)
    return np.bincount(index, minlength=bins)[index] / len(values)


def _combined(shares: np.ndarray, alpha: float, combine: str) -> np.ndarray:
    """Weights [N] of the sum 1 from shares [Z, N]."""
    rarity = -np.log(shares + alpha)
    if combine == "product":
        joint = rarity.sum(0)
    else:
        joint = (rarity - np.log(np.exp(rarity).sum(1, keepdims=True))).max(0)
    weights = np.exp(joint - joint.max())
    return weights / weights.sum()


def latent_resampler(
    model: Model,
    x: Any,
    *,
    preprocess: Preprocess | None = None,
    bins: int = 10,
    alpha: float = 0.01,
    combine: str = "product",
    at_least: float = 0.2,
    threshold: float = 0.01,
) -> Callable[[Params], np.ndarray]:
    """params -> `resampling_weights` of the training examples by their codes: for `fit(weights=)` or `Reweighted`.

    Latents that the encoder does not use are left out: their histograms would be those of noise. The authors resample
    the class of interest alone (faces); this draws from all examples.

    Args:
        model: with a diagonal Gaussian posterior.
        x: [N, *event_shape] the training examples in their order, in the units of the likelihood; or raw.
        preprocess: of raw examples, (key, raw) -> x, such as `jaxvae.data.PROTOCOLS["dynamic"]`: it draws each example
            once, the same x in every epoch, some hundred examples at a time. None takes x as it is.
        bins, alpha, combine, at_least: of `resampling_weights`.
        threshold: a latent counts where the variance of its means is above this, see `active_latents`. With none,
            all examples are alike.

    Raises:
        ValueError, TypeError: for a posterior that is no diagonal Gaussian, no examples, or options that
            `resampling_weights` refuses.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = np.random.default_rng(0).uniform(size=(20, 4, 4, 1)).astype(np.float32)
        >>> weights = latent_resampler(model, x)(model.init(jax.random.key(0), x[0]))
        >>> weights.shape, round(float(weights.sum()), 6)
        ((20,), 1.0)
    """
    if model.posterior.distribution is None:
        raise ValueError(
            "the posterior of this model is no diagonal Gaussian (its `distribution` is None), so its codes have no "
            "means to make histograms of. Take a vae with its usual posterior, or pass weights of your own: "
            "resampling_weights takes codes [N, Z] of any kind."
        )
    finite_number("threshold", threshold)
    rule = functools.partial(resampling_weights, bins=bins, alpha=alpha, combine=combine, at_least=at_least)
    rule(np.zeros((2, 1)))  # options that cannot be are refused before anything is trained
    if count_examples(x, "x") == 0:
        raise ValueError("x is empty (0 examples), expected the training examples. Check the split and the path.")

    def weights(params: Params) -> np.ndarray:
        params = jax.device_put(params)  # once, not for every batch
        if preprocess is None:
            means = encode(model, params, x).mean
        else:
            means = map_batches(functools.partial(_means, model, preprocess, params), x, batch_size=500)
        return rule(means[:, active_latents(means, threshold)])

    return weights


@functools.partial(jax.jit, static_argnums=(0, 1))
def _means(model: Model, preprocess: Preprocess, params: Params, index: Array, raw: Any) -> Array:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), index)

    def one(key: Array, raw: Any) -> Array:
        assert model.posterior.distribution is not None
        return model.posterior.distribution(params, preprocess(key, raw)).mean

    return jax.vmap(one)(keys, raw)
