"""The conditional variational autoencoder: every part is told the label, or any context, of the example."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxvae.checks import positive_integer
from jaxvae.models.contexts import Context, Labelled, as_context, split_context
from jaxvae.models.events import as_event_shape
from jaxvae.models.given_context import given
from jaxvae.models.inputs import as_observation, network_input
from jaxvae.models.latent_variable import latent_variable_model
from jaxvae.models.likelihoods import decoder_likelihood
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.posteriors.outputs import asked_for
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Key, Model, Network, Observation

Array = jax.Array


def conditional_vae(
    encoder: Any,
    decoder: Any,
    *,
    event_shape: Any,
    latent_dim: int,
    context: int | tuple[int, ...] | Context,
    observation: Observation | None = None,
    prior: Network | None = None,
    posterior: Callable[..., Conditional] = gaussian_posterior,
) -> Model:
    """A VAE of p(x | c): q(z | x, c) = N(encoder(x, c)), p(x | z, c) = observation(decoder(z, c)), p(z | c).

    x is `Labelled(value, context)` for init, terms and the posterior; `condition(model, x)` gives the model of the
    value alone. All numbers are bounds on log p(value | context). Each context has the VAE of its own that
    `vae(encoder(., c), decoder(., c))` makes, so `Terms` are that function's.

    Args:
        encoder: `.apply(variables, x, c)` returns `(mean [latent_dim], log_var [latent_dim])`; `with_context` makes one
            from a network of x alone.
        decoder: `.apply(variables, z, c)` returns [..., C * observation.channels] unconstrained numbers; or a
            `Conditional` p(x | Labelled(z, what networks see of c)).
        event_shape: the shape [..., C] of one value.
        latent_dim: the number of latents.
        context: a number of classes (networks see a one-hot vector), the shape of a float array, or a `Context`.
        observation: an observation model, by default `bernoulli()`.
        prior: None for p(z | c) = N(0, I), or a network: `.apply(variables, c)` returns (mean, log_var) of p(z | c).
        posterior: (encoder, latent_dim, *, to_input) -> `Conditional`, as `vae` takes it.

    Returns:
        A `Model` with a context; its parameters are {"encoder", "decoder"} and "prior" where that is a network.

    Raises:
        ValueError, TypeError: as `vae`; for a context that is no positive number of classes and no shape; later, for
            labels that are missing, negative, too large or no integers.

    Source: Sohn, Lee and Yan, 2015 (NeurIPS), whose prior p(z | c) is learned; Kingma et al., 2014, arXiv 1406.5298,
    model M2 with all labels observed, whose prior is N(0, I).

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxvae.networks.conditional import with_context
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = conditional_vae(
        ...     with_context(MLPEncoder(2)),
        ...     with_context(MLPDecoder((8, 8, 1))),
        ...     event_shape=(8, 8, 1),
        ...     latent_dim=2,
        ...     context=10,
        ... )
        >>> x = Labelled(jnp.zeros((8, 8, 1)), jnp.int32(3))
        >>> model.terms(model.init(jax.random.key(0), x), jax.random.key(1), x).kl.shape
        (2,)
    """
    told = as_context(context)
    latent_dim, event_shape = positive_integer("latent_dim", latent_dim), as_event_shape(event_shape)
    seen = as_observation(observation)
    to_unit = network_input(seen, event_shape)

    def to_input(x: Any) -> Labelled:
        value, c = split_context(told, x, "x")
        return Labelled(to_unit(value), c)

    def encoded(pair: Any) -> Labelled:
        z, c = split_context(told, pair, "z")
        return Labelled(z, told.encode(c))

    if isinstance(decoder, Conditional):
        p_x = given(decoder, encoded)
    else:
        p_x = decoder_likelihood(Told(decoder, told), seen, event_shape)
    if prior is None:
        p_z = standard_normal(latent_dim)
    else:
        p_z = gaussian_posterior(prior, latent_dim, name="prior", to_input=told.encode)
    q_z = posterior(Told(encoder, told), latent_dim, to_input=to_input)
    sizes: dict[str, Any] = {"event_shape": event_shape, "latent_dim": latent_dim}
    return latent_variable_model(q_z, p_z, p_x, **sizes, observation=seen, context=told)


class Told(NamedTuple):
    """A network of `Labelled(value, c)`: one of two inputs, given the value and what networks see of c.

    Example:
        >>> from jaxvae.models.contexts import class_labels
        >>> from jaxvae.networks.conditional import with_context
        >>> from jaxvae.networks.mlp import MLPDecoder
        >>> decoder = Told(with_context(MLPDecoder((4, 4, 1))), class_labels(3))
        >>> z = Labelled(jax.numpy.zeros(2), jax.numpy.int32(1))
        >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
        (4, 4, 1)
    """

    network: Any
    told: Context

    def init(self, key: Key, /, *inputs: Any) -> Any:
        """(key, Labelled(value, c)) -> the network's variables."""
        return explained(self.network.init, key, *self._both(*inputs))

    def apply(self, variables: Any, /, *inputs: Any) -> Any:
        """(variables, Labelled(value, c)) -> what the network makes of the value and what is seen of c."""
        return explained(self.network.apply, variables, *self._both(*inputs))

    def with_outputs(self, latent_dim: int, outputs: int) -> "Told":
        """The same of the network for a posterior that reads so many numbers, if it can be asked."""
        return self._replace(network=asked_for(self.network, latent_dim, outputs))

    def _both(self, pair: Any) -> tuple[Any, Array]:
        value, c = split_context(self.told, pair, "z")
        return value, self.told.encode(c)


def explained(
    function: Callable[..., Any], *arguments: Any, fix: str = "Wrap one of a single input: with_context(network)."
) -> Any:
    """function(*arguments), where a network is given a context too; one that takes none is named, with the remedy.

    Raises:
        TypeError: for a network of another number of inputs.

    Example:
        >>> explained(lambda value, context: value + context, 1, 2)
        3
    """
    try:
        return function(*arguments)
    except TypeError as error:
        if "positional argument" not in str(error):
            raise
        raise TypeError(f"a network of a conditional model does not take a context ({error}). {fix}") from error
