"""The model zoo: by name, one small model of each kind for 8x8 digits."""

import functools
from collections.abc import Callable

import jaxvae
from experiments.tables.model_zoo_parts import (
    LATENTS,
    OBSERVATION,
    SHAPE,
    ZooModel,
    adversarial,
    all_labels,
    amortized_layers,
    autoregressive,
    bounded,
    categorical_latents,
    code,
    conditional,
    decoder,
    encoder,
    flow_networks,
    info,
    layered,
    of_batch,
    penalised,
    plain,
    semi_supervised,
    total_correlation,
    vector_quantised,
    wasserstein,
)

estimated = functools.partial(bounded, jaxvae.iwae_bound, 5)

# name -> (what it is, how it is made); the order is that of README's tables.
MODEL_ZOO: dict[str, tuple[str, Callable[[], ZooModel]]] = {
    "vae": ("the plain VAE", lambda: ZooModel(plain())),
    "beta": ("beta-VAE, beta = 4", lambda: bounded(jaxvae.elbo, beta=4.0)),
    "capacity": ("KL held at 10 nats", lambda: of_batch(jaxvae.objectives.capacity_bound, capacity=10.0, gamma=10.0)),
    "free_bits": (
        "half a nat free for each latent",
        lambda: of_batch(jaxvae.objectives.free_bits_bound, free_nats=0.5),
    ),
    "conditional": ("the class is known", lambda: ZooModel(conditional(), labels=all_labels)),
    "conditional_prior": (
        "and the prior depends on it",
        lambda: ZooModel(conditional(prior=jaxvae.MLPEncoder(LATENTS, (32,))), labels=all_labels),
    ),
    "semi_supervised": ("M2, one label in ten known", semi_supervised),
    "hierarchical": ("two layers, Burda's", lambda: ZooModel(layered(jaxvae.hierarchical_vae, jaxvae.MLPEncoder))),
    "ladder": ("two layers, ladder", lambda: ZooModel(layered(jaxvae.ladder_vae, jaxvae.networks.MLPLevel))),
    "vq": ("VQ-VAE, 8 codes of 64", vector_quantised),
    "categorical": ("10 categorical latents of 8 classes", categorical_latents),
    "hyperspherical": (
        "von Mises-Fisher posterior",
        lambda: ZooModel(
            plain(posterior=jaxvae.posteriors.hyperspherical_posterior, prior=jaxvae.priors.uniform_sphere(LATENTS))
        ),
    ),
    "mixture_prior": (
        "Gaussian mixture of 50 as the prior",
        lambda: ZooModel(plain(prior=jaxvae.priors.gaussian_mixture_prior(50, LATENTS))),
    ),
    "vamp_prior": (
        "VampPrior of 50 pseudo-inputs",
        lambda: ZooModel(plain(prior=jaxvae.priors.vamp_prior(encoder(), LATENTS, SHAPE, pseudo_inputs=50))),
    ),
    "real_nvp_prior": (
        "RealNVP as the prior",
        lambda: ZooModel(plain(prior=jaxvae.priors.flow_prior(jaxvae.flows.real_nvp(LATENTS, flow_networks), LATENTS))),
    ),
    "spline_prior": (
        "neural spline as the prior",
        lambda: ZooModel(
            plain(prior=jaxvae.priors.flow_prior(jaxvae.flows.neural_spline(LATENTS, flow_networks), LATENTS))
        ),
    ),
    "autoregressive_prior": (
        "masked autoregressive flow as the prior",
        lambda: ZooModel(
            plain(prior=jaxvae.priors.flow_prior(autoregressive(jaxvae.flows.masked_autoregressive), LATENTS))
        ),
    ),
    "low_rank": (
        "low-rank Gaussian posterior",
        lambda: ZooModel(plain(posterior=jaxvae.posteriors.low_rank_posterior(2))),
    ),
    "full_covariance": (
        "full-covariance Gaussian posterior",
        lambda: ZooModel(plain(posterior=jaxvae.posteriors.full_covariance_posterior)),
    ),
    "planar": (
        "planar flow posterior",
        lambda: ZooModel(plain(posterior=amortized_layers(jaxvae.flows.planar))),
    ),
    "radial": (
        "radial flow posterior",
        lambda: ZooModel(plain(posterior=amortized_layers(jaxvae.flows.radial))),
    ),
    "iaf": (
        "inverse autoregressive posterior",
        lambda: ZooModel(
            plain(posterior=jaxvae.posteriors.flow_posterior(autoregressive(jaxvae.flows.inverse_autoregressive), 32))
        ),
    ),
    "coupling": (
        "coupling flow posterior",
        lambda: ZooModel(
            plain(posterior=jaxvae.posteriors.flow_posterior(jaxvae.flows.real_nvp(LATENTS, flow_networks), 32))
        ),
    ),
    "iwae": ("IWAE of 5 samples", estimated),
    "miwae": ("MIWAE, 2 groups of 3", lambda: bounded(functools.partial(jaxvae.objectives.miwae_bound, groups=2), 6)),
    "ciwae": ("half ELBO, half IWAE", lambda: bounded(jaxvae.objectives.ciwae_bound, 5, beta=0.5)),
    "piwae": (
        "encoder by MIWAE, decoder by IWAE",
        lambda: bounded(jaxvae.iwae_bound, 6, estimator=jaxvae.objectives.piwae(2)),
    ),
    "renyi": ("Renyi bound, alpha = 1/2", lambda: bounded(jaxvae.objectives.renyi_bound, 5, alpha=0.5)),
    "vr_max": ("largest weight of 5", lambda: bounded(jaxvae.objectives.vr_max_bound, 5)),
    "sticking_the_landing": (
        "ELBO, path gradient",
        lambda: bounded(jaxvae.elbo, estimator=jaxvae.objectives.sticking_the_landing),
    ),
    "dreg": ("IWAE, DReG gradient", lambda: estimated(estimator=jaxvae.objectives.doubly_reparameterized)),
    "score_function": ("IWAE, VIMCO gradient", lambda: estimated(estimator=jaxvae.objectives.score_function)),
    "info": ("InfoVAE with MMD", info),
    "tc": ("beta-TCVAE", total_correlation),
    "factor": ("FactorVAE", lambda: adversarial(plain(), jaxvae.losses.factor_vae_loss, "code")),
    "dip_i": ("DIP-VAE I", lambda: penalised(plain(), jaxvae.losses.dip_vae_penalty(kind="I"))),
    "dip_ii": ("DIP-VAE II", lambda: penalised(plain(), jaxvae.losses.dip_vae_penalty(kind="II"))),
    "vae_gan": ("VAE-GAN", lambda: adversarial(plain(), jaxvae.losses.vae_gan_loss, "example")),
    "gan": (
        "GAN, real against generated in pairs",
        lambda: adversarial(
            jaxvae.gan(decoder(), event_shape=SHAPE, latent_dim=LATENTS, observation=OBSERVATION),
            functools.partial(
                jaxvae.losses.gan_loss,
                adversarial_loss=jaxvae.objectives.relativistic(),
                zero_centred_penalty_weight=0.1,
            ),
            "example",
            b1=0.0,
        ),
    ),
    "autoencoder": ("no distribution over codes", lambda: ZooModel(code())),
    "denoising": (
        "input a quarter masked",
        lambda: ZooModel(
            code(jaxvae.models.autoencoders.denoising_autoencoder, corruption=jaxvae.models.autoencoders.masking(0.25))
        ),
    ),
    "sparse": ("L1 on the code", lambda: ZooModel(code(jaxvae.models.autoencoders.sparse_autoencoder))),
    "contractive": (
        "Jacobian of the encoder",
        lambda: ZooModel(code(jaxvae.models.autoencoders.contractive_autoencoder)),
    ),
    "rae_l2": ("RAE, weight decay", lambda: ZooModel(code(jaxvae.models.autoencoders.regularized_autoencoder))),
    "rae_gp": (
        "RAE, gradient penalty",
        # The Jacobian is of E[x | z] in levels, 0 to 255: its square is some 60,000 times that of pixels on [0, 1].
        lambda: ZooModel(
            code(jaxvae.models.autoencoders.regularized_autoencoder, decoder_penalty="gradient", decoder_weight=1e-5)
        ),
    ),
    "wasserstein": ("WAE with MMD", wasserstein),
    "adversarial": (
        "adversarial autoencoder",
        lambda: adversarial(
            code(prior=jaxvae.priors.standard_normal(LATENTS)), jaxvae.losses.adversarial_autoencoder_loss, "code"
        ),
    ),
}
