"""How well a model explains data: bounds on log p(x), example by example, with their standard errors."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from jaxvae.checks import as_key, finite_number, positive_integer
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.bounds.importance import effective_samples, sample_weights
from jaxvae.evaluation.statistics import Estimate, mean_and_error
from jaxvae.math.numerics import log_mean_exp
from jaxvae.models.records import Key, Model, Params, check_batch

Array = jax.Array

# What per_example finds, the nearest to log p(x) first, and what each says of it.
TIGHTEST = {"log_p": "exact", "iwae": "importance bound", "elbo": "bound"}
BATCH, CHUNK, ROWS = 500, 125, 1000  # most examples, samples, and their product in flight: the fastest for an MLP


def per_example(
    model: Model,
    params: Params,
    key: Key,
    x: Array | np.ndarray,
    *,
    samples: int | Sequence[int] = 1,
    batch_size: int | None = None,
    chunk: int = CHUNK,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Bounds and their parts for each example; every sample of every example has its own key.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood.
        samples: K posterior samples per example, or several K, all served by the samples of the largest.
        batch_size: examples in flight at a time; by default few where K is large. No number depends on it.
        chunk: samples of an example in flight at a time; no number depends on it, and memory does not grow with K.
        progress: called with the number of examples done, now and then.

    Returns:
        NumPy arrays in nats, by what the model's evidence allows:
        "weights": elbo [N] and log_likelihood [N], averaged over the K samples; kl [N]; kl_per_latent [N, L]; and iwae
        [N], the importance-weighted bound with K samples. Of several K, iwae is that of the largest and `iwae_5`, say,
        that of the first 5 samples. For K > 1 also effective_samples [N], a count. The rate is kl, the distortion
        -log_likelihood.
        "exact": log_p [N], in one pass whatever K.
        "bound": elbo, the mean of K log-weights, and for K > 1 its monte_carlo_error [N]; log_likelihood, kl,
        kl_per_latent. No log-mean-exp: it may lie above log p(x).
        "none": log_likelihood, the reconstruction, and the KL where there is one.

    Raises:
        ValueError, TypeError: for an empty x, x of another shape, values the likelihood cannot score, an impossible
            samples, batch_size or chunk, more than one sample of a model without evidence, such as a deterministic
            autoencoder, or a model without terms, such as a GAN.

    Source: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519; rate and distortion: Alemi et al., 2018, arXiv
        1711.00464.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> x = np.zeros((3, 8, 8, 1), np.float32)
        >>> values = per_example(model, model.init(jax.random.key(0), x[0]), jax.random.key(1), x, samples=(1, 5))
        >>> values["elbo"].shape, values["kl_per_latent"].shape, sorted(name for name in values if "iwae" in name)
        ((3,), (3, 2), ['iwae', 'iwae_1', 'iwae_5'])
    """
    counts = sample_counts(samples)
    largest = max(counts)
    chunk = min(positive_integer("chunk", chunk), largest)
    check_batch(model, x)
    as_key("key", key)
    if model.evidence == "none" and largest > 1:
        raise ValueError(
            f"samples is {samples}, but the evidence of this model is 'none', as of a deterministic autoencoder: no "
            f"ELBO and no importance-weighted bound, expected samples=1 for its reconstruction term."
        )
    several = () if isinstance(samples, int | np.integer) else counts
    bounds = functools.partial(_bounds, model, counts, several, chunk, params, key)

    batch_size = min(BATCH, max(1, ROWS // chunk)) if batch_size is None else batch_size
    values: dict[str, np.ndarray] = map_batches(bounds, x, batch_size=batch_size, progress=progress)
    return values


def sample_counts(samples: int | Sequence[int]) -> tuple[int, ...]:
    """One K or several as an ascending tuple; raises `ValueError` or `TypeError` for none or an impossible one."""
    if not isinstance(samples, list | tuple):
        return (positive_integer("samples", samples),)
    if not samples:
        raise ValueError("samples is empty, expected at least one number of samples, as in samples=(1, 50).")
    return tuple(sorted({positive_integer("samples", count) for count in samples}))


def tightest(values: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Of what `per_example` found, log p(x) [N] itself or the bound nearest to it; None where there is neither.

    Example:
        >>> tightest({"elbo": np.array([-3.0]), "iwae": np.array([-2.0])}).tolist()
        [-2.0]
    """
    return next((values[name] for name in TIGHTEST if name in values), None)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _bounds(
    model: Model,
    counts: tuple[int, ...],
    several: tuple[int, ...],
    chunk: int,
    params: Params,
    key: Key,
    indices: Array,
    x: Array,
) -> dict[str, Array]:
    samples = max(counts)

    def one(index: Array, x: Array) -> dict[str, Array]:
        own = jax.random.fold_in(key, index)
        if model.evidence == "exact":
            return {"log_p": model.terms(params, own, x).log_weight}
        log_weights, log_likelihood, kl = sample_weights(model, params, own, x, samples=samples, chunk=chunk)
        parts = {"log_likelihood": log_likelihood} | ({"kl": kl.sum(), "kl_per_latent": kl} if kl.size else {})
        if model.evidence == "none":
            return parts
        if model.evidence == "bound":
            error = {"monte_carlo_error": log_weights.std(ddof=1) / math.sqrt(samples)} if samples > 1 else {}
            return {"elbo": log_weights.mean()} | parts | error
        found = {"elbo": log_likelihood - kl.sum()} | parts | {"iwae": log_mean_exp(log_weights)}
        found |= {f"iwae_{count}": log_mean_exp(log_weights[:count]) for count in several}
        return found | ({"effective_samples": effective_samples(log_weights)} if samples > 1 else {})

    return jax.vmap(one)(indices, x)


def summarize(values: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
    """Mean and standard error over examples, in float64, of every one-dimensional array.

    Raises:
        TypeError: for what is no dict of arrays.

    Example:
        >>> summarize({"kl": np.array([1.0, 3.0])})["kl"]
        Estimate(mean=2.0, standard_error=1.0, examples=2)
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"values is a {type(values).__name__}, expected the dict of arrays that per_example returns.")
    return {name: mean_and_error(value) for name, value in values.items() if value.ndim == 1}


def bits_per_dimension(log_p: float, dimensions: int, *, bin_width: float = 1.0) -> float:
    r"""Nats as bits per dimension: -(log p(x) + D log bin_width) / (D log 2).

    It compares models only where x is discrete, so that log p is the logarithm of a probability (bin_width 1), or where
    x is a discrete value with uniform noise, so that p is a density and bin_width the noise's width in the units of x:
    1/256 for the protocol "dequantize", which adds the 8 bits of a grey level.

    Args:
        log_p: log p(x) or a bound on it, nats per example.
        dimensions: D, numbers in an example.
        bin_width: the volume of one discrete value.

    Raises:
        ValueError, TypeError: for impossible dimensions, or a bin_width that is not positive.

    Source: Theis, van den Oord and Bethge, 2016, arXiv 1511.01844.

    Example:
        >>> bits_per_dimension(-784 * math.log(256), 784)  # uniform over 256 levels
        8.0
        >>> bits_per_dimension(0.0, 784, bin_width=1 / 256)  # the uniform density on [0, 1]
        8.0
    """
    dimensions = positive_integer("dimensions", dimensions)
    if np.ndim(log_p) != 0 or isinstance(log_p, str) or log_p is None:
        raise TypeError(f"log_p is a {type(log_p).__name__} of shape {np.shape(log_p)}, expected a number: a mean.")
    finite_number("bin_width", bin_width, above=True)
    return -(float(log_p) / dimensions + math.log(bin_width)) / math.log(2.0)
