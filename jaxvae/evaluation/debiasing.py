"""Rare examples drawn more often: sampling probabilities from how rare an example's code is."""

from collections.abc import Callable

import jax
import numpy as np

from jaxvae.evaluation.latents import active_latents, encode
from jaxvae.math.checks import finite_number, positive_integer
from jaxvae.models.records import Model, Params

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
    As alpha grows all examples become alike; near 0 the draws tend to be uniform over the latents' bins. A product of
    many latents leaves few examples with most of the probability, see `effective_examples`.

    Args:
        means: [N, Z] the posterior mean of each training example.
        bins: of each histogram, of equal width from the smallest to the largest mean.
        alpha: above 0, in shares of the examples.
        combine: "product", as the paper has it, or "maximum" over latents of each latent's own probabilities, as the
            authors' course notebook has it, which is milder.
        at_least: alpha is raised until the draws are worth this share of the examples, by `effective_examples`. In
            training a small alpha feeds on itself: what is drawn often gets codes of its own, and is drawn the more.
            This is not of the paper, which tunes alpha by hand; 0 leaves alpha alone.

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
    shares = np.stack([_shares(column, bins) for column in codes.T])
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
    x: Array | np.ndarray,
    *,
    bins: int = 10,
    alpha: float = 0.01,
    combine: str = "product",
    at_least: float = 0.2,
    threshold: float = 0.01,
) -> Callable[[Params], np.ndarray]:
    """params -> `resampling_weights` of the training examples by their codes: for `fit(weights=)`, epoch by epoch.

    Latents that the encoder does not use are left out: their histograms would be those of noise.

    Args:
        model: with a diagonal Gaussian posterior.
        x: [N, *event_shape] the training examples in their order, in the units of the likelihood.
        bins, alpha, combine, at_least: of `resampling_weights`.
        threshold: a latent counts where the variance of its means is above this, see `active_latents`. With none,
            all examples are alike.

    Example:
        >>> from jaxvae.models.vae import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = np.random.default_rng(0).uniform(size=(20, 4, 4, 1)).astype(np.float32)
        >>> weights = latent_resampler(model, x)(model.init(jax.random.key(0), x[0]))
        >>> weights.shape, round(float(weights.sum()), 6)
        ((20,), 1.0)
    """

    def weights(params: Params) -> np.ndarray:
        means = encode(model, params, x).mean
        used = means[:, active_latents(means, threshold)]
        return resampling_weights(used, bins=bins, alpha=alpha, combine=combine, at_least=at_least)

    return weights


def effective_examples(weights: Array | np.ndarray) -> float:
    """1 / sum_i w_i^2, for weights of the sum 1: how many examples the draws are worth; N where all are alike.

    Source: Kish, 1965, Survey sampling.

    Example:
        >>> effective_examples([1.0, 1.0, 0.0])
        2.0
    """
    array = np.asarray(weights, np.float64)
    return float(array.sum() ** 2 / np.square(array).sum())
