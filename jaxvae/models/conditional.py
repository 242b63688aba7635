"""The conditional variational autoencoder: every part is told the label, or any context, of the example."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxvae.models.contexts import Context, Labelled, as_context, split_context
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.posteriors.heads import network_gaussian
from jaxvae.models.records import Conditional, Key, Model, Network, Observation, Params
from jaxvae.models.variational import vae
from jaxvae.objectives.terms import Terms

Array = jax.Array


def conditional_vae(
    encoder: Any,
    decoder: Any,
    *,
    event_shape: tuple[int, ...],
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
        decoder: `.apply(variables, z, c)` returns [..., C * observation.channels] unconstrained numbers.
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
    p_z = None if prior is None else network_gaussian(prior, latent_dim, name="prior", to_input=told.encode)

    def given(c: Any) -> Model:
        """The VAE of the values that have this context."""
        seen = told.encode(c)
        return vae(
            _Given(encoder, seen),
            _Given(decoder, seen),
            event_shape=event_shape,
            latent_dim=latent_dim,
            observation=observation,
            prior=None if p_z is None else _given(p_z, c),
            posterior=posterior,
        )

    plain = given(told.example())  # raises for impossible options now, not at the first step

    def init(key: Key, x: Labelled) -> Params:
        value, c = split_context(told, x, "x")
        return given(c).init(key, value)

    def terms(params: Params, key: Key, x: Labelled) -> Terms:
        value, c = split_context(told, x, "x")
        return given(c).terms(params, key, value)

    def of_value(name: str) -> Conditional:
        """The posterior or the likelihood, whose context is `Labelled(value or z, c)`."""

        def part(pair: Labelled) -> tuple[Conditional, Any]:
            value, c = split_context(told, pair, "x" if name == "posterior" else "z")
            return getattr(given(c), name), value

        def init(key: Key, pair: Labelled) -> Params:
            inner, value = part(pair)
            return inner.init(key, value)

        def sample(params: Params, key: Key, pair: Labelled) -> tuple[Any, Array]:
            inner, value = part(pair)
            return inner.sample(params, key, value)

        def log_prob(params: Params, target: Any, pair: Any) -> Array:
            if isinstance(target, Labelled):  # p(x | z) of a labelled x may be asked for with a plain z
                target, pair = target.value, pair if isinstance(pair, Labelled) else Labelled(pair, target.context)
            inner, value = part(pair)
            return inner.log_prob(params, target, value)

        def mean(params: Params, pair: Labelled) -> Any:
            inner, value = part(pair)
            return inner.mean(params, value)

        def distribution(params: Params, pair: Labelled) -> Any:
            inner, value = part(pair)
            assert inner.distribution is not None
            return inner.distribution(params, value)

        has = getattr(plain, name).distribution is not None
        return Conditional(init, sample, log_prob, mean, distribution if has else None)

    return Model(
        init,
        terms,
        of_value("posterior"),
        plain.prior if p_z is None else p_z,
        of_value("likelihood"),
        plain.event_shape,
        plain.to_unit,
        plain.check,
        told,
    )


class _Given(NamedTuple):
    """A network of one input: another one with its second input filled in."""

    network: Any
    context: Array

    def init(self, key: Key, /, *inputs: Array) -> Any:
        return _explained(self.network.init, key, *inputs, self.context)

    def apply(self, variables: Any, /, *inputs: Array) -> Any:
        return _explained(self.network.apply, variables, *inputs, self.context)


def _explained(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except TypeError as error:
        if "positional argument" not in str(error):
            raise
        raise TypeError(
            f"a network of a conditional model does not take a context ({error}). Wrap one of a single input: "
            f"with_context(network)."
        ) from error


def _given(p: Conditional, c: Any) -> Conditional:
    """The learned prior p(z | c) with its context filled in."""
    distribution = p.distribution
    return Conditional(
        lambda key, _: p.init(key, c),
        lambda params, key, _: p.sample(params, key, c),
        lambda params, z, _: p.log_prob(params, z, c),
        lambda params, _: p.mean(params, c),
        distribution and (lambda params, _: distribution(params, c)),
    )
