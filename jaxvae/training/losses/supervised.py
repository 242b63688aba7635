"""A classifier beside a model: its loss on the code is added to the bound, so that both shape the encoder."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.checks import finite_number
from jaxvae.models.contexts import Labelled
from jaxvae.models.players.critic import check_network
from jaxvae.models.records import Key, Model, Network, Params
from jaxvae.objectives.bounds import elbo
from jaxvae.objectives.terms import Terms
from jaxvae.randomness import applied, with_keys
from jaxvae.training.losses.batch import batch_terms, codes, report
from jaxvae.training.losses.bound import Loss, Metrics

Array = jax.Array


def supervised_loss(
    model: Model,
    network: Network,
    *,
    weight: float = 1.0,
    bound: Callable[[Terms], Array] = elbo,
    name: str = "classifier",
) -> Loss:
    r"""Minus the bound, plus weight * cross-entropy: -log softmax(network(z))_label at a sample z of the posterior.

    Args:
        model: `with_critic(model, network, name=name)`, so that its parameters hold the classifier's.
        network: code [Z] -> logits [classes], such as `MLPClassifier`.
        weight: of the cross-entropy, nats for nats, >= 0.
        bound: terms with a leading axis [1] -> nats.
        name: of the classifier's parameters.

    Returns:
        loss(params, keys [B], batch, step) -> (scalar, metrics), the batch `Labelled(x [B, ...], label [B])`; metrics
        are those of `bound_loss` with cross_entropy in nats and accuracy.

    Raises:
        ValueError, TypeError: for a weight that is negative or not finite, or a network that is none; later, for a
            batch without labels.

    Source: the joint loss of Amini et al., 2019, doi 10.1145/3306618.3314243, equation 2 (there the encoder emits the
        logit beside the code, and examples of the other class have the cross-entropy alone).

    Example:
        >>> from jaxvae.models.players.critic import with_critic
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.deterministic import MLPClassifier
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> classifier = MLPClassifier(3, (8,))
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> model = with_critic(model, classifier, name="classifier")
        >>> batch = Labelled(jnp.zeros((8, 4, 4, 1)), jnp.arange(8) % 3)
        >>> params = model.init(jax.random.key(0), batch.value[0])
        >>> loss = supervised_loss(model, classifier)
        >>> value, metrics = loss(params, jax.random.split(jax.random.key(1), 8), batch, jnp.int32(0))
        >>> bool(jnp.isclose(value, metrics["cross_entropy"] - metrics["elbo"]))
        True
    """
    finite_number("weight", weight)
    check_network(network)

    def loss(params: Params, keys: Key, batch: Labelled, step: Array) -> tuple[Array, Metrics]:
        if not isinstance(batch, Labelled):
            raise ValueError("the batch has no labels, expected Labelled(x, labels). Pass labels= to fit.")
        terms = batch_terms(model, params, keys, batch.value)
        logits = jax.vmap(lambda key, z: applied(network, with_keys(params, key)[name], z))(keys, codes(terms)[0])
        log_p = jax.nn.log_softmax(logits)
        cross_entropy = -jnp.take_along_axis(log_p, batch.context[:, None], axis=1).mean()
        accuracy = (logits.argmax(1) == batch.context).mean()
        value = terms.penalty.mean() - jax.vmap(bound)(terms).mean() + weight * cross_entropy
        return value, report(terms, value, cross_entropy=cross_entropy, accuracy=accuracy)

    return loss
