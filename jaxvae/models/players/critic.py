"""A critic's parameters beside a model's, under their own name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_function
from jaxvae.models.conditional import explained
from jaxvae.models.contexts import Labelled, split_context
from jaxvae.models.records import Key, Model, Network, Params, as_model, as_network, merge
from jaxvae.randomness import applied

Array = jax.Array
SEEN = ("code", "example")
BOTH = "The critic of a conditional model is told the context too: projection_critic(network)."


def add_parameters(model: Model, init: Callable[[Key, Array, Params], Params]) -> Model:
    """The model with more parameters of its own names; whatever trains or saves it takes them along.

    Args:
        model: any model.
        init: (key, x, the model's parameters) -> a dict of named subtrees; the key is consumed.

    Raises:
        ValueError: later, when a name is used twice.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> model = add_parameters(model, lambda key, x, params: {"scale": jnp.zeros(())})
        >>> sorted(model.init(jax.random.key(0), jnp.zeros((4, 4, 1))))
        ['decoder', 'encoder', 'scale']
    """

    as_model("model", model)
    as_function("init", init, "lambda key, x, params: {'scale': jnp.zeros(())}")

    def with_more(key: Key, x: Array) -> Params:
        key_model, key_more = jax.random.split(key)
        params = model.init(key_model, x)
        return merge(params, init(key_more, x, params))

    return model._replace(init=with_more)


def with_critic(model: Model, network: Network, *, sees: str = "code", name: str = "critic") -> Model:
    """The model with a critic's parameters, so that one state holds both.

    Args:
        model: what the critic plays against.
        network: `.apply(variables, input)` returns a logit [] or (logit [], features [...]); of a model with a context
            that sees examples `.apply(variables, input, what networks see of the context)`, see `projection_critic`.
        sees: "code" (FactorVAE, adversarial autoencoder), or "example", in the units that networks see (GAN, VAE-GAN).
        name: the name of the critic's parameters; `optimizer_by_part({"critic": ...})` can then address them.

    Raises:
        ValueError: for another `sees`; later, where the model already has parameters of that name.
        TypeError: for a network without `init` and `apply`; later, for one that takes no context where there is one.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.discriminator import MLPCritic
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> model = with_critic(model, MLPCritic((8,)))
        >>> sorted(model.init(jax.random.key(0), jnp.zeros((4, 4, 1))))
        ['critic', 'decoder', 'encoder']
    """
    check_network(network)
    if sees not in SEEN:
        raise ValueError(f"sees is {sees!r}, expected one of {', '.join(SEEN)}.")

    def init(key: Key, x: Array, params: Params) -> Params:
        if sees == "code":
            shape = jax.eval_shape(lambda key: model.terms(params, key, x).z, key).shape
        else:
            shape = model.event_shape
        blank = jnp.zeros(shape, jnp.float32)
        if sees == "code" or model.context is None:
            return {name: network.init(key, blank)}
        context = model.context.encode(split_context(model.context, x, "x")[1])
        return {name: explained(network.init, key, blank, context, fix=BOTH)}

    return add_parameters(model, init)


def check_network(network: Network) -> None:
    """Raises `TypeError` for what has no `init` and `apply`, such as a class in place of its instance."""
    as_network("network", network, "MLPCritic()")


def critic_outputs(network: Network, params: Params, x: Any, name: str = "critic") -> tuple[Array, Array | None]:
    """(logit [], features or None) of one input; or of `Labelled(input, c)`, for a critic that is told c as well.

    Raises:
        ValueError: where the network emits no scalar logit.
    """
    inputs = x if isinstance(x, Labelled) else (x,)
    outputs = (
        explained(applied, network, params[name], *inputs, fix=BOTH)
        if len(inputs) > 1
        else (applied(network, params[name], *inputs))
    )
    logit, features = outputs if isinstance(outputs, tuple) else (outputs, None)
    if jnp.shape(logit) != ():
        raise ValueError(
            f"the critic returned a logit of shape {jnp.shape(logit)} for one input of shape {jnp.shape(inputs[0])}, "
            f"expected (): a scalar, or (scalar, features). Index its last layer's output with [0]."
        )
    return logit, features
