"""Approximate posteriors that push the encoder's Gaussian through a bijection."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.checks import as_float, positive_integer
from jaxvae.flows.records import Bijection, check_bijection
from jaxvae.math.normal import normal_log_prob, reparameterize
from jaxvae.models.inputs import shapes_of
from jaxvae.models.posteriors.outputs import Posterior, asked_for, reads
from jaxvae.models.records import Conditional, DiagNormal, Key, Network, Params, merge
from jaxvae.randomness import applied

Array = jax.Array


def flow_posterior(flow: Bijection | Callable[[int], Bijection], context: int = 0) -> Posterior:
    """q(z | x): z = f(u, context), u ~ N(mean(x), diag(exp(log_var(x)))), as `vae(..., posterior=flow_posterior(...))`.

    log q(z | x) = log N(u; mean, exp(log_var)) - log |det df/du|

    A sample and its exact density take the forward direction only, so it should be the fast one: planar, radial,
    coupling, or inverse autoregressive layers. `log_prob` of any z takes the inverse. `mean` is f(mean(x)), the image
    of the centre and no expectation; `distribution` is None, so that the KL of a VAE is its one-sample estimate.

    Args:
        flow: a `Bijection`, or (latent_dim) -> `Bijection`. Its parameters are shared by all examples; what depends on
            x goes through the context, as in `inverse_autoregressive`, `coupling` and `amortized` (which makes the
            parameters of planar and radial layers depend on x).
        context: how many numbers the encoder is asked for beside mean and log_var, as the context of the flow.

    Returns:
        (encoder, latent_dim, *, to_input) -> `Conditional`. The encoder returns (mean, log_var), or (mean, log_var,
        context) with a context of any shape; without one the context is None. Parameters are
        {"encoder": ..., "posterior_flow": ...}.

    Raises:
        TypeError: if flow is neither, or the function returns something else.
        ValueError: when called, if the encoder emits anything else, or the flow is made for other dimensions.

    Source: Rezende and Mohamed, 2015, arXiv 1505.05770; Kingma et al., 2016, arXiv 1606.04934.

    Example:
        >>> from jaxvae.flows.planar_flow import planar
        >>> from jaxvae.networks.mlp import MLPEncoder
        >>> posterior = flow_posterior(planar)(MLPEncoder(2, (16,)), 2)
        >>> x = jnp.zeros((8, 8, 1))
        >>> params = posterior.init(jax.random.key(0), x)
        >>> z, log_density = posterior.sample(params, jax.random.key(1), x)
        >>> sorted(params), z.shape, abs(float(posterior.log_prob(params, z, x) - log_density)) < 1e-3
        (['encoder', 'posterior_flow'], (2,), True)
    """
    if not isinstance(flow, Bijection) and not callable(flow):
        raise TypeError(f"flow is {flow!r}, expected a Bijection or (latent_dim) -> Bijection, such as planar.")

    context = positive_integer("context", context, 0)

    @reads(lambda latent_dim: 2 * latent_dim + context)
    def posterior(
        encoder: Network,
        latent_dim: int,
        *,
        to_input: Callable[[Array], Array] = lambda x: x,
        name: str = "encoder",
        flow_name: str = "posterior_flow",
    ) -> Conditional:
        encoder = asked_for(encoder, latent_dim, 2 * latent_dim + context)
        bijection = flow if isinstance(flow, Bijection) else flow(latent_dim)
        check_bijection(bijection)

        def encode(variables: Any, x: Array) -> tuple[DiagNormal, Any]:
            outputs = applied(encoder, variables, to_input(x))
            found = [jnp.shape(part) for part in outputs] if isinstance(outputs, tuple) else type(outputs).__name__
            if found[:2] != [(latent_dim,)] * 2 or len(outputs) > 3:
                raise ValueError(
                    f"the encoder returned {found} for one example of shape {shapes_of(x)}, expected a tuple (mean, "
                    f"log_var) or (mean, log_var, context), the first two of shape ({latent_dim},). Check its last "
                    f"layer and latent_dim; it must work on one example, without a batch axis."
                )
            base = DiagNormal(as_float("the encoder's mean", outputs[0]), as_float("the encoder's log_var", outputs[1]))
            return base, as_float("the encoder's context", outputs[2]) if len(outputs) == 3 else None

        def init(key: Key, x: Array) -> Params:
            key_encoder, key_flow = jax.random.split(key)
            variables = merge({name: encoder.init(key_encoder, to_input(x))})[name]
            base, context = encode(variables, x)
            added = bijection.init(key_flow, base.mean, context)
            return {name: variables, **({flow_name: added} if added else {})}  # weights files hold no empty dict

        def sample(params: Params, key: Key, x: Array) -> tuple[Array, Array]:
            base, context = encode(params[name], x)
            u = reparameterize(key, *base)
            z, log_det = bijection.forward(params.get(flow_name, {}), u, context)
            return z, normal_log_prob(u, *base) - log_det

        def log_prob(params: Params, z: Array, x: Array) -> Array:
            base, context = encode(params[name], x)
            u, log_det = bijection.inverse(params.get(flow_name, {}), z, context)
            return normal_log_prob(u, *base) + log_det

        def mean(params: Params, x: Array) -> Array:
            base, context = encode(params[name], x)
            return bijection.forward(params.get(flow_name, {}), base.mean, context)[0]

        return Conditional(init, sample, log_prob, mean)

    return posterior
