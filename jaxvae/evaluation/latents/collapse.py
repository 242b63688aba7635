"""Which latents a model uses, and words for the case that it uses none: posterior collapse."""

from typing import NamedTuple

import jax
import numpy as np

from jaxvae.checks import finite_number
from jaxvae.evaluation.latents.codes import active_latents, posterior_means
from jaxvae.evaluation.latents.strength import one_vector
from jaxvae.models.records import Model, Params

Array = jax.Array
VARIANCE, NATS = 0.01, 0.01  # below: an unused latent, by its posterior mean or by its KL


class CollapseWarning(UserWarning):
    """Training has left hardly any latent in use; silence it where that is meant, by `warnings.simplefilter`."""


class LatentUse(NamedTuple):
    """How much each latent, or group of latents, carries.

    Attributes:
        kl: [L] nats, means over examples: of each latent or group, or one number for all latents together.
        active: [A] booleans: whether the posterior mean of each latent varies over examples, Var_x E[z | x] > 0.01; for
            latents that are no one vector of real numbers, whether the KL of each group is above 0.01 nats.
        by: what `active` was judged by, in words.
    """

    kl: np.ndarray
    active: np.ndarray
    by: str


def latent_use(model: Model, params: Params, kl: Array | np.ndarray, x: Array | np.ndarray) -> LatentUse:
    """The latents that a model uses for examples.

    Args:
        model, params: the model and its parameters.
        kl: [N, L] nats, as `per_example` gives it under "kl_per_latent", or their means [L].
        x: [N, *event_shape] examples, some hundreds will do.

    Raises:
        ValueError: for a kl of another shape, or x as `posterior_means`.

    Source: active units: Burda, Grosse and Salakhutdinov, 2016, arXiv 1509.00519, section 5.2.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> x = np.zeros((3, 8, 8, 1), np.float32)  # three times the same, so the code cannot vary
        >>> use = latent_use(model, model.init(jax.random.key(0), x[0]), np.array([0.5, 0.5]), x)
        >>> use.active.tolist(), use.by
        ([False, False], 'variance of the posterior mean above 0.01')
    """
    kl = np.asarray(kl, np.float64)
    kl = kl.mean(0) if kl.ndim == 2 else kl
    if kl.ndim != 1:
        raise ValueError(f"kl has shape {kl.shape}, expected nats [L] or [N, L].")
    if model.posterior.support != "real" or not one_vector(model, params):
        return LatentUse(kl, kl > NATS, f"KL above {NATS:g} nats")
    means = np.asarray(posterior_means(model, params, x))
    return LatentUse(kl, active_latents(means, VARIANCE), f"variance of the posterior mean above {VARIANCE:g}")


def has_collapsed(use: LatentUse) -> bool:
    """Whether hardly any latent is used: none, or one of four or more. An autoencoder, without a KL, never has.

    One or two unused latents are no fault: a model leaves aside what the data do not need.

    Example:
        >>> has_collapsed(LatentUse(np.zeros(8), np.arange(8) < 1, "")), has_collapsed(LatentUse(np.zeros(0), None, ""))
        (True, False)
    """
    if use.kl.size == 0:
        return False
    used = int(use.active.sum())
    return used == 0 or (used == 1 and use.active.size >= 4)


def collapse_warning(use: LatentUse, *, beta: float | None = None, remedies: tuple[str, ...] = ()) -> str:
    """Three lines that say what was seen, what it means and how to mend it.

    Args:
        use: see `latent_use`.
        beta: the weight of the KL, if it is known; a large one is named first.
        remedies: what to do, in the words of the caller, such as options of a command; by default in general words.

    Raises:
        ValueError, TypeError: for a beta that is negative or no number.

    Example:
        >>> use = LatentUse(np.array([0.002, 0.001]), np.zeros(2, bool), "variance of the posterior mean above 0.01")
        >>> print(collapse_warning(use, beta=100.0))
        Posterior collapse: 0 of 2 latents are active (variance of the posterior mean above 0.01).
        KL per latent, nats, largest first: 0.002 0.001. The decoder ignores the code.
        To mend it: lower beta (now 100); raise the weight of the KL slowly from 0 (a warm-up); give each latent some \
free bits; use a weaker decoder.
    """
    if beta is not None:
        finite_number("beta", beta)
    if not remedies:
        remedies = ("raise the weight of the KL slowly from 0 (a warm-up)", "give each latent some free bits")
        remedies = (*remedies, "use a weaker decoder")
    if beta is not None and beta > 1:
        remedies = (f"lower beta (now {beta:g})", *remedies)
    largest = np.sort(use.kl)[::-1]
    shown = " ".join(f"{value:.3f}" for value in largest[:10]) + (" and less" if largest.size > 10 else "")
    shown = f"KL per latent, nats, largest first: {shown}"
    if use.kl.size == 1 < use.active.size:
        shown = f"KL of all latents together: {largest[0]:.3f} nats"
    meaning = "The decoder ignores the code."
    if largest[0] > 10 * NATS and not use.active.any():  # far from the prior, but for every example in the same way
        meaning = "Every example gets nearly the same code: these nats tell the decoder nothing."
        remedies = ("train on, since this often passes by itself", *remedies)
    return (
        f"Posterior collapse: {int(use.active.sum())} of {use.active.size} latents are active ({use.by}).\n"
        f"{shown}. {meaning}\n"
        f"To mend it: {'; '.join(remedies)}."
    )
