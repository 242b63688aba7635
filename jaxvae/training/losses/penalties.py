"""Losses and penalties of a whole batch: MMD (InfoVAE, WAE), DIP-VAE and beta-TCVAE."""

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number, positive_integer
from jaxvae.math.kernels import Kernel, inverse_multiquadric_kernel
from jaxvae.models.records import Conditional, Key, Model, Params
from jaxvae.objectives.dip import KINDS, dip_penalty
from jaxvae.objectives.discrepancy import mmd
from jaxvae.objectives.terms import Terms
from jaxvae.objectives.total_correlation import SAMPLINGS, KLParts, decompose_kl
from jaxvae.training.losses.batch import batch_terms, codes, prior_draws, report, target_prior
from jaxvae.training.losses.bound import BatchPenalty, Loss, Metrics, Schedule
from jaxvae.training.losses.whole_batch import gathered

Array = jax.Array


def mmd_penalty(
    model: Model, weight: float = 1.0, kernel: Kernel | None = None, *, prior: Conditional | None = None
) -> BatchPenalty:
    r"""weight * MMD^2(codes of the batch, as many draws of the prior), unbiased, for `bound_loss(batch_penalty=)`.

    InfoVAE maximises E log p(x | z) - (1 - alpha) KL(q(z | x) || p(z)) - (alpha + lambda - 1) MMD^2(q(z), p(z)):
    `bound_loss(model, elbo, beta=1 - alpha, batch_penalty=mmd_penalty(model, alpha + lambda - 1))`. MMD-VAE is
    alpha = 1, so beta=0 and weight=lambda. A Wasserstein autoencoder is a deterministic autoencoder with
    weight=lambda; its paper's squared error is twice minus the log-likelihood of a unit Gaussian, so halve its lambda.

    Args:
        model: its prior is the target.
        weight: nats per unit of the kernel, >= 0.
        kernel: (code, code) -> []; by default `inverse_multiquadric_kernel(2 Z)`, right for a prior of unit variance.
        prior: a target other than the model's, for instance where it has none.

    Returns:
        (params, key, terms with axes [B, K]) -> [] nats, averaged over the K samples; B is at least 2.

    Raises:
        ValueError, TypeError: for a weight that is negative or not finite, or where there is no prior.

    Source: Zhao, Song and Ermon, 2017, arXiv 1706.02262; Tolstikhin et al., 2018, arXiv 1711.01558.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> from jaxvae.objectives.bounds import elbo
        >>> from jaxvae.training.losses.bound import bound_loss
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> loss = bound_loss(model, elbo, beta=0.0, batch_penalty=mmd_penalty(model, 10.0))  # MMD-VAE
    """
    finite_number("weight", weight)
    target = target_prior(model, prior)

    def penalty(params: Params, key: Key, terms: Terms) -> Array:
        z = codes(terms)
        samples, size, latents = z.shape
        drawn = prior_draws(target, params, jax.random.split(key, samples * size)).reshape(z.shape)
        distance = inverse_multiquadric_kernel(2.0 * latents) if kernel is None else kernel
        return weight * jax.vmap(lambda a, b: mmd(a, b, distance))(z, drawn).mean()

    return penalty


def dip_vae_penalty(*, kind: str = "II", off_diagonal: float = 10.0, diagonal: float = 10.0) -> BatchPenalty:
    """`dip_penalty` of the batch's posteriors, for `bound_loss(model, elbo, batch_penalty=...)`.

    Args:
        kind: "I" (covariance of the posterior means) or "II" (of the samples).
        off_diagonal: weight of the squared covariances, >= 0.
        diagonal: weight of the squared distance of the variances from 1, >= 0.

    Returns:
        (params, key, terms with axes [B, K]) -> [] nats; B is at least 2 and the posterior a diagonal Gaussian.

    Raises:
        ValueError, TypeError: for another kind, or a weight that is negative or not finite.

    Source: Kumar, Sattigeri and Balakrishnan, 2018, arXiv 1711.00848.

    Example:
        >>> penalty = dip_vae_penalty(kind="I", off_diagonal=10.0, diagonal=100.0)
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected 'I' (posterior means) or 'II' (samples).")
    finite_number("off_diagonal", off_diagonal)
    finite_number("diagonal", diagonal)

    def penalty(params: Params, key: Key, terms: Terms) -> Array:
        mean, log_var = _posterior(terms)  # the same for every sample, so the first of them
        return dip_penalty(mean[0], log_var[0], kind=kind, off_diagonal=off_diagonal, diagonal=diagonal)

    return penalty


def kl_parts(model: Model, params: Params, terms: Terms, dataset_size: int, *, sampling: str = "stratified") -> KLParts:
    """`decompose_kl` of `Terms` with axes [B, K], averaged over the K samples; `log p(z)` is the model's prior.

    Raises:
        ValueError: where the posterior is no diagonal Gaussian, and as `decompose_kl`.
    """
    log_prior = jax.vmap(jax.vmap(lambda z: model.prior.log_prob(params, z, None)))(terms.z).T

    def one(z: Array, mean: Array, log_var: Array, log_p: Array) -> KLParts:
        return decompose_kl(z, mean, log_var, dataset_size, sampling=sampling, log_prior=log_p)

    return jax.tree.map(jnp.mean, jax.vmap(one)(codes(terms), *_posterior(terms), log_prior))


def tc_vae_loss(
    model: Model,
    dataset_size: int,
    *,
    alpha: float | Schedule = 1.0,
    beta: float | Schedule = 6.0,
    gamma: float | Schedule = 1.0,
    sampling: str = "stratified",
    samples: int = 1,
) -> Loss:
    r"""beta-TCVAE: minus the log-likelihood + alpha MI + beta TC + gamma (dimension-wise KL), in nats per example.

    With all three at 1 it is minus the one-sample ELBO, whatever the estimates, since the parts add up to the KL.

    Args:
        model: with a diagonal Gaussian posterior; its prior should have independent latents.
        dataset_size: how many examples the batches are drawn from.
        alpha, beta, gamma: weights >= 0 of the mutual information, the total correlation and the dimension-wise KL;
            each a number or a schedule of the step.
        sampling: "stratified" or "weighted", see `decompose_kl`.
        samples: posterior samples per example.

    Returns:
        loss(params, keys [B], batch [B, ...], step) -> (scalar, metrics); metrics are those of `bound_loss` (the elbo
        is the ELBO, without these weights) with mutual_information, total_correlation and dimension_wise_kl,
        estimated from the batch of all devices.

    Raises:
        ValueError, TypeError: for a weight that is negative or not finite, a dataset_size below 2, or another sampling.

    Source: Chen et al., 2018, arXiv 1802.04942.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> batch = jnp.zeros((8, 4, 4, 1))
        >>> params = model.init(jax.random.key(0), batch[0])
        >>> loss = tc_vae_loss(model, 1000, beta=4.0)
        >>> value, metrics = loss(params, jax.random.split(jax.random.key(1), 8), batch, jnp.int32(0))
        >>> "total_correlation" in metrics
        True
    """
    dataset_size, samples = positive_integer("dataset_size", dataset_size, 2), positive_integer("samples", samples)
    weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
    for name, weight in weights.items():
        if not callable(weight):
            finite_number(name, weight)
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling is {sampling!r}, expected one of {', '.join(SAMPLINGS)}.")

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        terms = batch_terms(model, params, keys, batch, samples)
        parts = kl_parts(model, params, gathered(terms), dataset_size, sampling=sampling)
        now = [weight(step) if callable(weight) else weight for weight in weights.values()]
        weighted = sum(weight * part for weight, part in zip(now, parts, strict=True))
        value = terms.penalty.mean() + weighted - terms.log_likelihood.mean()
        return value, report(terms, value, **parts._asdict())

    return loss


def _posterior(terms: Terms) -> tuple[Array, Array]:
    """Mean and log-variance [K, B, Z]."""
    if terms.posterior is None:
        raise ValueError(
            "the model's posterior is no diagonal Gaussian, expected one with a mean and a log_var. Use "
            "gaussian_posterior, or a penalty that needs the codes alone, such as mmd_penalty."
        )
    mean, log_var = (jnp.moveaxis(part.reshape(*part.shape[:2], -1), 1, 0) for part in terms.posterior)
    return mean, log_var
