"""Configs of many groups of latents, to begin with; no JAX is imported."""

from dataclasses import replace

from jaxvae.runs.configs.config import Config, DataConfig, ModelConfig, ObjectiveConfig, OptimConfig

# Two groups of dense layers. The posterior comes down the same ladder as the prior.
#     jaxvae train mnist-ladder
# 473 s of processor time, on one core. Expected: at most 88 nats. Obtained: test -ELBO 88.15 +- 0.24 nats, of which
# 25.8 are KL; 95.96 after 5 epochs, 92.2 after 10, 89.8 after 20, 88.6 after 30, 88.2 after 40.
LADDER = Config(
    epochs=45,
    evaluate_every=5,
    data=DataConfig("mnist"),
    model=ModelConfig(
        kind="ladder",
        hidden=(300, 300),
        activation="gated",
        first_latents=48,
        upper_hidden=(128, 128),
        latent_dim=24,
    ),
    objective=ObjectiveConfig(warmup_epochs=6.0),
    optim=OptimConfig(lr=2e-3, schedule="cosine", warmup_epochs=0.2, ema=0.999),
)

# Wide products at one pixel and few channels at 7 x 7 suit a CPU; the second is of the size of a VDVAE.
#     jaxvae train mnist-deep
# 711 s of processor time, on one core. Expected: at most 92 nats. Obtained: test -ELBO 89.15 +- 0.24 nats, of which
# 31.8 are KL; 97.7 after one epoch, 92.3 after three, 90.5 after five. Draws from the prior: most are digits, not all.
DEEP = Config(
    epochs=10,
    batch_size=32,
    data=DataConfig("mnist"),
    model=ModelConfig(kind="deep", groups=(2, 3), features=(64, 256), factors=(4, 7), latent_dim=8),
    objective=ObjectiveConfig(warmup_epochs=0.5),
    optim=OptimConfig(lr=2e-3, schedule="cosine", warmup_epochs=0.05, ema=0.999, skip_ratio=10.0),
)

# Photographs of 32x32 in 256 levels of three colours: latents on 16x16 and 8x8 pixels, and a few of the whole.
#     jaxvae train cifar10
# About 20 minutes of processor time, on one core. Expected: at most 5.5 bits per dimension. Obtained: 5.431 +- 0.005
# (test -ELBO 11563.5 +- 11.2 nats, KL 857). Reconstructions are blurred photographs; draws from the prior are textures
# in their colours, not things: one pass over the images is little.
CIFAR10 = replace(
    DEEP,
    epochs=1,
    data=DataConfig("cifar10", protocol="levels", flip=True),
    model=ModelConfig(
        kind="deep",
        groups=(2, 2, 1),
        features=(32, 64, 256),
        factors=(2, 2, 8),
        latent_dim=8,
        likelihood="coupled_logistic_mixture",
        components=3,
    ),
    objective=ObjectiveConfig(warmup_epochs=0.2),
)
VDVAE = replace(
    DEEP,
    epochs=400,
    batch_size=128,
    evaluate_every=10,
    save_every=10,
    model=ModelConfig(
        kind="deep",
        groups=(8, 12, 4),
        features=(128, 256, 256),
        factors=(2, 2, 7),
        blocks=4,
        activation="silu",
        latent_dim=16,
    ),
    objective=ObjectiveConfig(warmup_epochs=20.0),
    optim=OptimConfig(
        name="adamw", lr=1e-3, schedule="cosine", warmup_epochs=1.0, weight_decay=0.01, ema=0.9999, skip_ratio=10.0
    ),
)

# The same at the size of a VDVAE, latents at every resolution, the picture's own too. It was not run on a GPU yet, nor
# anywhere. Published for such a network, much deeper: 2.87 bits per dimension (Child, 2021, arXiv 2011.10650).
CIFAR10_VDVAE = replace(
    VDVAE,
    epochs=100,
    batch_size=64,
    data=CIFAR10.data,
    model=replace(
        VDVAE.model,
        groups=(6, 8, 6, 4, 2),
        features=(128, 128, 256, 256, 256),
        factors=(1, 2, 2, 2, 4),
        blocks=2,
        likelihood="coupled_logistic_mixture",
        components=10,
    ),
    objective=ObjectiveConfig(warmup_epochs=5.0),
    optim=replace(VDVAE.optim, lr=2e-4),
)
