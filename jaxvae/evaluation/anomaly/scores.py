"""How anomalous an example is: scores in nats from a trained model, one number each, HIGHER is more anomalous.

What they are worth is measured in `jaxvae.evaluation.anomaly.detection`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxvae.checks import positive_integer
from jaxvae.evaluation.anomaly.complexity import compressed_nats
from jaxvae.evaluation.anomaly.regret import likelihood_regret
from jaxvae.evaluation.bounds.likelihood import per_example, tightest
from jaxvae.evaluation.latents.generation import reconstructions
from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Key, Model, Params

Array = jax.Array
Values = Array | np.ndarray
PARTS = {
    "negative_log_p": ("log_p", -1),
    "negative_elbo": ("elbo", -1),
    "negative_iw_bound": ("iwae", -1),
    "reconstruction": ("log_likelihood", -1),
    "kl": ("kl", 1),
}


def typicality(log_p: Values, training_log_p: Values) -> np.ndarray:
    r"""|H - (-log p(x))|, H the mean of -log p over training examples: far from typical on either side.

    The test of Nalisnick et al. for a group of one example; they show that it gains power with the size of the group.

    Args:
        log_p: [N] log p(x) or a bound on it, nats.
        training_log_p: [M] the same of training examples.

    Returns:
        [N] nats, higher is more anomalous.

    Source: Nalisnick et al., 2019, arXiv 1906.02994.

    Example:
        >>> typicality([-100.0, -90.0, -130.0], [-95.0, -105.0]).tolist()
        [0.0, 10.0, 30.0]
    """
    return np.abs(vector("log_p", log_p) - vector("training_log_p", training_log_p).mean())


def complexity_ratio(log_p: Values, complexity: Values) -> np.ndarray:
    r"""S(x) = -log p(x) - L(x): the log-likelihood ratio of a lossless compressor, a model of all images, to the model.

    The likelihood of any image falls with its complexity; the difference leaves what is the training data's own.

    Args:
        log_p: [N] log p(x) or a bound on it, nats; p a probability of the very levels that were compressed.
        complexity: [N] nats, see `jaxvae.evaluation.anomaly.compressed_nats`.

    Returns:
        [N] nats, higher is more anomalous.

    Raises:
        ValueError: for other shapes, no numbers, or NaN.

    Source: Serra et al., 2020, arXiv 1909.11480; there in bits per dimension.

    Example:
        >>> complexity_ratio([-100.0, -300.0], [120.0, 400.0]).tolist()
        [-20.0, -100.0]
    """
    log_p, complexity = vector("log_p", log_p), vector("complexity", complexity)
    if log_p.shape != complexity.shape:
        raise ValueError(f"complexity has shape {complexity.shape}, expected {log_p.shape}, one for each log_p.")
    return -log_p - complexity


def anomaly_scores(
    model: Model,
    params: Params,
    key: Key,
    x: Any,
    *,
    training: Any = None,
    samples: int = 16,
    codecs: str | Sequence[str] | None = "png",
    regret_steps: int | None = 100,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    r"""Every score of each example, by name; HIGHER is more anomalous.

    - negative_elbo: -ELBO, and negative_iw_bound: -log (1/K) sum_k p(x, z_k) / q(z_k | x), nearer to -log p(x)
    - reconstruction: -E_q[log p(x | z)], and kl: KL(q(z | x) || p(z)), the two parts of -ELBO
    - squared_error: |x - E[x | z]|^2 at the posterior mean, on the scale [0, 1] of `model.to_unit`
    - regret: `likelihood_regret`
    - simplicity: -L(x), no model at all, and complexity_ratio: -log p(x) - L(x), by the tightest bound
    - typicality: by the tightest bound, against `training`

    A density without latents, whose evidence is "exact", has negative_log_p in place of the first five and no regret; a
    model whose evidence is "bound" no negative_iw_bound and no regret.

    Args:
        model, params: the model and its parameters.
        key: consumed.
        x: [N, *event_shape], in the units of the likelihood; images [N, H, W, C] where codecs are named.
        training: some hundreds of training examples, in the same units; None leaves typicality out.
        samples: K posterior samples per example.
        codecs: of `compressed_nats`; None leaves out what needs them.
        regret_steps: of Adam; None leaves the regret out.
        progress: called with the number of examples done for the regret, the slowest, now and then.

    Returns:
        name -> [N]; nats, squared_error excepted.

    Raises:
        ValueError, TypeError: for examples the model cannot score, impossible options, or (of the regret) a posterior
            that is no diagonal Gaussian.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2, (8,)), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> x = np.zeros((3, 8, 8, 1), np.float32)
        >>> params = model.init(jax.random.key(0), x[0])
        >>> scores = anomaly_scores(model, params, jax.random.key(1), x, training=x, regret_steps=None)
        >>> len(scores), scores["negative_elbo"].shape
        (8, (3,))
    """
    key_bounds, key_regret = jax.random.split(key)
    samples = positive_integer("samples", samples)
    if model.evidence == "none":
        raise ValueError(
            "the evidence of this model is 'none', as of a deterministic autoencoder: it has no likelihood, expected a "
            "model with one."
        )

    def bounds(key: Key, x: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
        values = per_example(model, params, key, x, samples=samples)
        best = tightest(values)
        assert best is not None
        return values, best

    values, log_p = bounds(key_bounds, x)
    scores = {name: sign * values[part] for name, (part, sign) in PARTS.items() if part in values}
    unit = np.asarray(model.to_unit(x.value if isinstance(x, Labelled) else x))
    if model.evidence != "exact" and model.posterior.support != "none":
        seen = np.asarray(model.to_unit(reconstructions(model, params, x)))
        scores["squared_error"] = np.square(unit - seen).reshape(len(unit), -1).sum(1)
    if regret_steps is not None and model.evidence == "weights":
        scores["regret"] = likelihood_regret(model, params, key_regret, x, steps=regret_steps, progress=progress)
    if codecs is not None:
        complexity = compressed_nats(np.rint(255 * unit).astype(np.uint8), codecs)
        scores["simplicity"] = -complexity
        scores["complexity_ratio"] = complexity_ratio(log_p, complexity)
    if training is not None:
        scores["typicality"] = typicality(log_p, bounds(jax.random.fold_in(key_bounds, 1), training)[1])
    return scores


def vector(name: str, values: Any) -> np.ndarray:
    """A float64 array [N]; raises `ValueError` for another shape, no numbers, or NaN."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0 or np.isnan(array).any():
        found = " with NaN" if np.isnan(array).any() else ""
        raise ValueError(f"{name} has shape {array.shape}{found}, expected (N,) numbers, one for each example, no NaN.")
    return array
