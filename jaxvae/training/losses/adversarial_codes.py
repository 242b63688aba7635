"""Adversarial losses over codes, in one step: total = generator_loss(g, stop(d)) + critic_loss(stop(g), d).

One gradient of the total holds exactly the gradient of each of the two, since each is constant in the other's
parameters. `optimizer_by_part({"critic": ...}, ...)` then gives each its own optimiser.
"""

import jax

from jaxvae.checks import finite_number
from jaxvae.models.players.critic import check_network
from jaxvae.models.records import Conditional, Key, Model, Network, Params, as_model
from jaxvae.objectives.adversarial import AdversarialLoss, minimax
from jaxvae.objectives.total_correlation import permute_latents
from jaxvae.training.losses.batch import batch_terms, codes, prior_draws, report, target_prior
from jaxvae.training.losses.bound import Loss, Metrics
from jaxvae.training.losses.critic import as_adversarial_loss, freeze, logits, loss_of_critic, loss_of_generator
from jaxvae.training.losses.whole_batch import gathered, own_rows, shared_key, shared_keys

Array = jax.Array


def factor_vae_loss(model: Model, network: Network, *, gamma: float = 10.0, name: str = "critic") -> Loss:
    r"""FactorVAE: minus the ELBO + gamma E_q(z) log D(z) / (1 - D(z)), the total correlation as the critic sees it.

    The critic tells codes from codes whose latents were permuted; its logit is then log q(z) / prod_l q(z_l). It sees
    the first half of the batch as it is and the second half permuted, so that no code is on both sides (the paper
    draws two batches). The ELBO and the total correlation are of the whole batch.

    Args:
        model: `with_critic(model, network)`, a model with codes [Z].
        network: the critic, `.apply(variables, z [Z])` -> logit [] or (logit, features).
        gamma: weight of the total correlation, >= 0.
        name: of the critic's parameters.

    Returns:
        loss(params, keys [B], batch, step) -> (scalar, metrics); B is at least 4. Metrics are those of `bound_loss`
        with total_correlation and critic_loss, in nats; loss is the sum of both.

    Raises:
        ValueError, TypeError: for a gamma that is negative or not finite, or a network that is none; later, for
            parameters without a critic or a batch below 4.

    Source: Kim and Mnih, 2018, arXiv 1802.05983, algorithm 2.

    Example:
        >>> from jaxvae.models.players.critic import with_critic
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model, critic = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2), MLPCritic()
        >>> model = with_critic(model, critic)
        >>> loss = factor_vae_loss(model, critic, gamma=6.4)
    """
    as_model("model", model)
    finite_number("gamma", gamma)
    check_network(network)

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        frozen = freeze(params, name)
        terms = batch_terms(model, params, keys, batch)
        z = codes(terms)[0]
        total_correlation = logits(network, frozen, keys, z, name).mean()
        z, keys = gathered((z, keys))
        half = z.shape[0] // 2
        if half < 2:
            raise ValueError(f"the batch has {z.shape[0]} examples, expected at least 4: two halves.")
        joint, permuted = own_rows(z[:half]), own_rows(permute_latents(shared_key(keys), z[half:]))
        own = own_rows(keys[:half])
        critic_loss = 0.5 * loss_of_critic(network, params, own, None, joint, permuted, minimax(), 0.0, name)
        elbo = terms.log_likelihood.mean() - terms.kl.mean((0, 1)).sum()
        value = terms.penalty.mean() - elbo + gamma * total_correlation + critic_loss
        return value, report(terms, value, total_correlation=total_correlation, critic_loss=critic_loss)

    return loss


def adversarial_autoencoder_loss(
    model: Model,
    network: Network,
    *,
    weight: float = 1.0,
    adversarial_loss: AdversarialLoss | None = None,
    gradient_penalty_weight: float = 0.0,
    prior: Conditional | None = None,
    name: str = "critic",
) -> Loss:
    r"""Adversarial autoencoder: minus the log-likelihood, plus the encoder's adversarial loss over codes.

    The critic tells draws of the prior (real) from codes (fake); no KL is used, so an encoder without noise will do.

    Args:
        model: `with_critic(model, network)`, an autoencoder or a VAE with codes [Z].
        network: the critic, `.apply(variables, z [Z])` -> logit [] or (logit, features).
        weight: of the encoder's adversarial loss, >= 0.
        adversarial_loss: by default `non_saturating()`.
        gradient_penalty_weight: of `gradient_penalty`, for `wasserstein()`; 0 leaves it out.
        prior: the target of the codes, by default the model's. This loss does not train it.
        name: of the critic's parameters.

    Returns:
        loss(params, keys [B], batch, step) -> (scalar, metrics): those of `bound_loss` with generator_loss and
        critic_loss; loss is the sum of both.

    Raises:
        ValueError, TypeError: for a weight that is negative or not finite, or a network or prior that is none; later,
            for parameters without a critic.

    Source: Makhzani et al., 2015, arXiv 1511.05644.

    Example:
        >>> from jaxvae.models.players.critic import with_critic
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model, critic = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2), MLPCritic()
        >>> loss = adversarial_autoencoder_loss(with_critic(model, critic), critic)
    """
    finite_number("weight", weight)
    finite_number("gradient_penalty_weight", gradient_penalty_weight)
    check_network(network)
    target, adversarial = target_prior(model, prior), as_adversarial_loss(adversarial_loss)

    def loss(params: Params, keys: Key, batch: Array, step: Array) -> tuple[Array, Metrics]:
        frozen = freeze(params, name)
        terms = batch_terms(model, params, keys, batch)
        z = codes(terms)[0]
        key_draw, key_slope = jax.random.split(shared_key(keys))
        real = prior_draws(target, params, shared_keys(key_draw, z.shape[0]))
        generator_loss = loss_of_generator(network, frozen, keys, real, z, adversarial, name)
        critic_loss = loss_of_critic(
            network, params, keys, key_slope, real, z, adversarial, gradient_penalty_weight, name
        )
        value = terms.penalty.mean() - terms.log_likelihood.mean() + weight * generator_loss + critic_loss
        return value, report(terms, value, generator_loss=generator_loss, critic_loss=critic_loss)

    return loss
