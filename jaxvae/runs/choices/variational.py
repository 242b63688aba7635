"""Kinds of variational autoencoder, by name."""

from typing import TYPE_CHECKING, Any

from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.priors import PRIORS
from jaxvae.runs.choices.records import BOUND, PARTS, Given, Kind, Options

if TYPE_CHECKING:
    from jaxvae.models.records import Model, Observation

LAYERS = ("model.first_latents", "model.upper_hidden")


def _plain(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.variational import vae
    from jaxvae.runs.choices.networks import build_decoder, build_encoder

    encoder = build_encoder(config)
    return vae(
        encoder,
        build_decoder(config, given, observation),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=observation,
        prior=PRIORS[config.prior].make(config, given, encoder),
        posterior=POSTERIORS[config.posterior].make(config),
    )


def _hierarchical(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.hierarchical import hierarchical_vae
    from jaxvae.networks.mlp import MLPEncoder

    return _layered(hierarchical_vae, MLPEncoder, config, given, observation)


def _ladder(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.ladder import ladder_vae
    from jaxvae.networks.hierarchical import MLPLevel

    return _layered(ladder_vae, MLPLevel, config, given, observation)


def _layered(make: Any, level: Any, config: Options, given: Given, observation: "Observation") -> "Model":
    """x - hidden - first_latents - upper_hidden - latent_dim, and the same layers downwards."""
    from jaxvae.networks.mlp import MLPEncoder
    from jaxvae.runs.choices.networks import build_decoder, dropped

    first, top, upper = config.first_latents, config.latent_dim, config.upper_hidden
    down = [dropped(config, MLPEncoder(first, upper[::-1], config.activation))]
    sizes_up = ((first, config.hidden), (top, upper))
    up = [dropped(config, level(size, hidden, config.activation)) for size, hidden in sizes_up]
    sizes: Any = {"event_shape": given.event_shape, "latent_dims": (first, top), "observation": observation}
    made: Model = make(up, down, build_decoder(config, given, observation), **sizes)
    return made


def _deep(config: Options, given: Given, observation: "Observation") -> "Model":
    import math

    from jaxvae.models.deep import Level, top_down_vae
    from jaxvae.networks.residual.groups import pyramid

    whole, sides = math.prod(config.factors), given.event_shape[:2]
    if any(side % whole for side in sides):
        near = " ".join(str(max(1, round(side / whole)) * whole) for side in sides)
        raise ValueError(
            f"model.factors is {config.factors}, which make the sides {whole} times smaller, but the pictures have "
            f"{sides[0]} x {sides[1]} pixels. Set --model.factors to numbers whose product divides both, or bring "
            f"pictures in files to another size, --data.size {near}."
        )
    encoder, levels, decoder = pyramid(
        given.event_shape,
        groups=config.groups,
        features=config.features,
        factors=config.factors,
        latent_dim=config.latent_dim,
        channels=observation.channels,
        blocks=config.blocks,
        activation=config.activation,
        output_bias=given.bias,
    )
    sizes: Any = {"event_shape": given.event_shape, "observation": observation}
    return top_down_vae(encoder, [Level(*level) for level in levels], decoder, **sizes)


def _hyperspherical(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.posteriors.hyperspherical import hyperspherical_posterior
    from jaxvae.models.priors.sphere import uniform_sphere
    from jaxvae.models.variational import vae
    from jaxvae.runs.choices.networks import build_decoder, build_encoder

    return vae(
        build_encoder(config),
        build_decoder(config, given, observation),
        event_shape=given.event_shape,
        latent_dim=config.latent_dim,
        observation=observation,
        prior=uniform_sphere(config.latent_dim),
        posterior=hyperspherical_posterior,
    )


def _categorical(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.categorical_latents import categorical_vae
    from jaxvae.runs.choices.networks import build_code_encoder, build_decoder

    return categorical_vae(
        build_code_encoder(config, config.latent_dim * config.categories),
        build_decoder(config, given, observation),
        event_shape=given.event_shape,
        variables=config.latent_dim,
        classes=config.categories,
        observation=observation,
        temperature=config.temperature,
    )


def _vq(config: Options, given: Given, observation: "Observation", **options: Any) -> "Model":
    import jax.numpy as jnp

    from jaxvae.models.vq import vq_vae
    from jaxvae.networks.deterministic import MappedInput, Reshaped
    from jaxvae.runs.choices.networks import build_code_encoder, build_decoder

    shape = config.latent_dim, config.code_size
    return vq_vae(
        Reshaped(build_code_encoder(config, shape[0] * shape[1]), shape),
        MappedInput(build_decoder(config, given, observation), jnp.ravel),
        event_shape=given.event_shape,
        code_shape=shape,
        codes=config.codes,
        observation=observation,
        commitment=config.weight,
        **options,
    )


def _vq_transformer(config: Options, given: Given, observation: "Observation") -> "Model":
    from jaxvae.models.priors.codes import code_prior
    from jaxvae.networks.causal import causal_transformer

    sizes = {"width": config.width, "layers": config.pixel_layers, "heads": config.heads, "levels": config.codes}
    network = causal_transformer((config.latent_dim,), config.codes, **sizes)
    prior = code_prior(network, (config.latent_dim, config.code_size), config.codes)
    return _vq(config, given, observation, prior=prior)


def _vq_loss(config: Options, model: "Model") -> Any:
    from jaxvae.training.losses.codebook import vq_loss

    return vq_loss(model)


def _vq_optimizer(config: Options, make: Any) -> Any:
    from jaxvae.training.losses.codebook import vq_optimizer

    return vq_optimizer(make())


VARIATIONAL: dict[str, Kind] = {
    "vae": Kind("A variational autoencoder", _plain),
    "hierarchical": Kind(
        "A variational autoencoder with two layers of latents", _hierarchical, LAYERS, (*PARTS, "model.network")
    ),
    "ladder": Kind("A ladder variational autoencoder", _ladder, LAYERS, (*PARTS, "model.network")),
    "deep": Kind(
        "A deep hierarchy of latents, drawn from the top down",
        _deep,
        ("model.groups", "model.factors", "model.blocks"),
        (*PARTS, "model.network", "model.hidden", "model.dropout"),
        pictures=True,
    ),
    "hyperspherical": Kind("A variational autoencoder with codes on a sphere", _hyperspherical, ignores=PARTS),
    "categorical": Kind(
        "A variational autoencoder with categorical latents",
        _categorical,
        ("model.categories", "model.temperature"),
        (*PARTS, "objective.bound", "objective.estimator"),  # of the hard sample the ELBO alone has a gradient
    ),
    "vq": Kind(
        "A vector-quantised autoencoder (VQ-VAE)",
        _vq,
        ("model.codes", "model.code_size", "model.weight"),
        (*PARTS, *BOUND),
        loss=_vq_loss,
        optimizer=_vq_optimizer,
        usual={"model.weight": 0.25},
    ),
    "vq_transformer": Kind(
        "A VQ-VAE whose codes a causal Transformer draws",
        _vq_transformer,
        ("model.codes", "model.code_size", "model.weight", "model.width", "model.heads", "model.pixel_layers"),
        (*PARTS, *BOUND),
        loss=_vq_loss,
        optimizer=_vq_optimizer,
        usual={"model.weight": 0.25},
    ),
}
