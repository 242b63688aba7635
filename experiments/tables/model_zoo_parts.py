"""Small models for 8x8 digits, each made as a user would make it, for `experiments.tables.model_zoo`."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

import jaxvae

SHAPE, LATENTS, HIDDEN = (8, 8, 1), 8, (256,)
OBSERVATION = jaxvae.discretized_logistic()


class ZooModel(NamedTuple):
    """What `jaxvae.fit` needs; loss and optimizer of None are minus the ELBO and Adam."""

    model: Any
    loss: Any = None
    optimizer: Any = None
    labels: Callable[[Any], Any] | None = None  # labels of the data -> context of each image


def encoder(latents: int = LATENTS) -> Any:
    return jaxvae.MLPEncoder(latents, HIDDEN)


def decoder() -> Any:
    return jaxvae.MLPDecoder(SHAPE, OBSERVATION.channels, HIDDEN)


def code_encoder(size: int = LATENTS) -> Any:
    return jaxvae.MLPDeterministicEncoder(size, HIDDEN)


def plain(**options: Any) -> Any:
    options = {"latent_dim": LATENTS, "observation": OBSERVATION, **options}
    return jaxvae.vae(encoder(options["latent_dim"]), decoder(), event_shape=SHAPE, **options)


def code(make: Callable[..., Any] = jaxvae.autoencoder, **options: Any) -> Any:
    sizes: dict[str, Any] = {"event_shape": SHAPE, "latent_dim": LATENTS, "observation": OBSERVATION}
    return make(code_encoder(), decoder(), **sizes, **options)


def bounded(bound: Callable[..., Any], samples: int = 1, **options: Any) -> ZooModel:
    model = plain()
    return ZooModel(model, jaxvae.bound_loss(model, bound, samples=samples, **options))


def of_batch(bound: Callable[..., Any], **options: Any) -> ZooModel:
    model = plain()
    return ZooModel(model, jaxvae.losses.batch_bound_loss(model, bound, **options))


def penalised(model: Any, penalty: Callable[..., Any], **options: Any) -> ZooModel:
    return ZooModel(model, jaxvae.bound_loss(model, jaxvae.elbo, batch_penalty=penalty, **options))


def adversarial(model: Any, make_loss: Callable[..., Any], sees: str, **options: Any) -> ZooModel:
    critic = jaxvae.networks.MLPCritic((128,))
    model = jaxvae.models.players.with_critic(model, critic, sees=sees)
    adam: Any = functools.partial(jaxvae.make_optimizer, "adam", **options)
    return ZooModel(
        model, make_loss(model, critic), jaxvae.training.optimizer_by_part({"critic": adam(3e-4)}, adam(1e-3))
    )


def flow_networks(size: int) -> Any:
    return jaxvae.networks.ConditionerMLP(size, (64,))


def masked_networks(size: int) -> Any:
    return jaxvae.networks.MADE(LATENTS, size, (64,))


def amortized_layers(layer: Callable[[int], Any]) -> Any:
    linear = functools.partial(jaxvae.networks.ConditionerMLP, hidden=())
    return jaxvae.posteriors.flow_posterior(
        jaxvae.flows.chain(*(jaxvae.flows.amortized(layer(LATENTS), linear) for _ in range(4))), 32
    )


def autoregressive(layer: Callable[..., Any]) -> Any:
    return jaxvae.flows.autoregressive_flow(layer, LATENTS, masked_networks, layers=2)


def layered(make: Callable[..., Any], level: Callable[..., Any]) -> Any:
    up = [level(16, HIDDEN), level(LATENTS, (64,))]
    down = [jaxvae.MLPEncoder(16, (64,))]
    return make(up, down, decoder(), event_shape=SHAPE, latent_dims=(16, LATENTS), observation=OBSERVATION)


def conditional(**options: Any) -> Any:
    sizes: dict[str, Any] = {"event_shape": SHAPE, "latent_dim": LATENTS, "observation": OBSERVATION}
    up, down = jaxvae.with_context(encoder()), jaxvae.with_context(decoder())
    return jaxvae.conditional_vae(up, down, context=10, **{**sizes, **options})


def vector_quantised() -> ZooModel:
    networks = (
        jaxvae.networks.Reshaped(code_encoder(LATENTS * 4), (LATENTS, 4)),
        jaxvae.networks.MappedInput(decoder(), jnp.ravel),
    )
    sizes: dict[str, Any] = {"event_shape": SHAPE, "code_shape": (LATENTS, 4), "codes": 64, "observation": OBSERVATION}
    model = jaxvae.vq_vae(*networks, **sizes)
    return ZooModel(
        model, jaxvae.losses.vq_loss(model), jaxvae.losses.vq_optimizer(jaxvae.make_optimizer("adam", 1e-3))
    )


def categorical_latents() -> ZooModel:
    sizes: dict[str, Any] = {"event_shape": SHAPE, "variables": 10, "classes": 8, "observation": OBSERVATION}
    return ZooModel(jaxvae.categorical_vae(code_encoder(80), decoder(), **sizes))


def semi_supervised() -> ZooModel:
    networks = jaxvae.with_context(encoder()), jaxvae.with_context(decoder()), jaxvae.networks.MLPClassifier(10, (64,))
    sizes: dict[str, Any] = {"event_shape": SHAPE, "latent_dim": LATENTS, "classes": 10, "observation": OBSERVATION}
    return ZooModel(jaxvae.semi_supervised_vae(*networks, **sizes), labels=one_in_ten)


def one_in_ten(labels: Any) -> Any:
    """The labels with nine out of ten unknown, -1."""
    return jnp.where(jnp.arange(len(labels)) % 10 == 0, labels, -1)


def all_labels(labels: Any) -> Any:
    return labels


def wasserstein() -> ZooModel:
    model = code(prior=jaxvae.priors.standard_normal(LATENTS))
    return penalised(model, jaxvae.losses.mmd_penalty(model, weight=100.0))


def info() -> ZooModel:
    model = plain()
    return penalised(model, jaxvae.losses.mmd_penalty(model, weight=100.0), beta=0.5)


def total_correlation() -> ZooModel:
    model = plain()
    return ZooModel(model, jaxvae.losses.tc_vae_loss(model, 1500, beta=4.0))
