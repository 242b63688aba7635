"""The parts of a model that a config names: observation, encoder, posterior and prior."""

import functools
from collections.abc import Callable

from jaxvae.models.observations.continuous import bernoulli, continuous_bernoulli, laplace, normal
from jaxvae.models.observations.discrete import categorical, discretized_logistic, logistic_mixture
from jaxvae.models.posteriors.gaussian import gaussian_posterior
from jaxvae.models.priors.standard import standard_normal
from jaxvae.models.records import Conditional, Network, Observation
from jaxvae.networks.mlp import MLPEncoder
from jaxvae.runs.configs.config import ModelConfig

CONTEXT = 32  # numbers an encoder emits beside mean and log-variance for a flow to be conditioned on


def build_observation(config: ModelConfig) -> Observation:
    """The observation model a config names."""
    constructors = {
        "bernoulli": bernoulli,
        "continuous_bernoulli": continuous_bernoulli,
        "normal": lambda: normal(config.scale, config.std),
        "laplace": lambda: laplace(config.scale, config.std),
        "discretized_logistic": discretized_logistic,
        "logistic_mixture": lambda: logistic_mixture(config.components),
        "categorical": categorical,
    }
    return constructors[config.likelihood]()


def build_encoder(config: ModelConfig) -> Network:
    """The encoder; the posterior asks it for as many numbers as it reads."""
    latents = config.latent_dim
    if config.network == "conv":
        from jaxvae.networks.conv import ConvEncoder

        return ConvEncoder(latents, config.features, config.dense, config.activation)
    return MLPEncoder(latents, config.hidden, activation=config.activation)


def build_code_encoder(config: ModelConfig) -> Network:
    """The encoder of an autoencoder, which emits a code and no distribution."""
    from jaxvae.networks.deterministic import ConvDeterministicEncoder, MLPDeterministicEncoder

    if config.network == "conv":
        return ConvDeterministicEncoder(config.latent_dim, config.features, config.dense, config.activation)
    return MLPDeterministicEncoder(config.latent_dim, config.hidden, config.activation)


def build_posterior(config: ModelConfig) -> Callable[..., Conditional]:
    """(encoder, latent_dim, *, to_input) -> q(z | x), as `vae` takes it."""
    if config.posterior == "diagonal":
        return gaussian_posterior
    if config.posterior == "low_rank":
        from jaxvae.models.posteriors.low_rank import low_rank_posterior

        return low_rank_posterior(config.rank)
    if config.posterior == "full":
        from jaxvae.models.posteriors.full_covariance import full_covariance_posterior

        return full_covariance_posterior
    from jaxvae.flows.amortization import amortized
    from jaxvae.flows.autoregressive import autoregressive_flow, inverse_autoregressive
    from jaxvae.flows.couplings import real_nvp
    from jaxvae.flows.planar_flow import planar
    from jaxvae.flows.radial_flow import radial
    from jaxvae.flows.records import chain
    from jaxvae.models.posteriors.flow import flow_posterior
    from jaxvae.networks.conditioner import ConditionerMLP
    from jaxvae.networks.made import MADE

    latents, layers, hidden = config.latent_dim, config.flows, config.flow_hidden
    network = functools.partial(ConditionerMLP, hidden=hidden)
    if config.posterior == "iaf":
        masked = functools.partial(MADE, latents, hidden=hidden)
        return flow_posterior(autoregressive_flow(inverse_autoregressive, latents, masked, layers=layers), CONTEXT)
    if config.posterior == "coupling":
        return flow_posterior(real_nvp(latents, network, layers), CONTEXT)
    layer = {"planar": planar, "radial": radial}[config.posterior]
    linear = functools.partial(ConditionerMLP, hidden=())
    return flow_posterior(chain(*(amortized(layer(latents), linear) for _ in range(layers))), CONTEXT)


def build_prior(config: ModelConfig, event_shape: tuple[int, ...], encoder: Network) -> Conditional:
    """p(z)."""
    latents, components = config.latent_dim, config.prior_components
    if config.prior == "standard_normal":
        return standard_normal(latents)
    if config.prior == "mixture":
        from jaxvae.models.priors.mixture import gaussian_mixture_prior

        return gaussian_mixture_prior(components, latents)
    if config.prior == "vamp":
        from jaxvae.models.priors.vamp import vamp_prior

        return vamp_prior(encoder, latents, event_shape, pseudo_inputs=components, posterior=build_posterior(config))
    from jaxvae.flows.couplings import neural_spline, real_nvp
    from jaxvae.flows.records import Bijection
    from jaxvae.models.priors.flow import flow_prior
    from jaxvae.networks.conditioner import ConditionerMLP

    make: Callable[..., Bijection] = real_nvp if config.prior == "real_nvp" else neural_spline
    network = functools.partial(ConditionerMLP, hidden=config.flow_hidden)
    return flow_prior(make(latents, network, config.flows), latents)
