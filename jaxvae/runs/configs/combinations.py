"""Which parts of a model, an objective and an optimizer fit together, and which options nothing would read."""

from dataclasses import fields
from typing import Any

from jaxvae.runs.configs.config import Config, SamplerConfig
from jaxvae.runs.configs.fields import flag, flatten, mend, words

FLOW_PRIORS, FLOW_POSTERIORS = ("real_nvp", "spline"), ("planar", "radial", "iaf", "coupling")
LAYERED = ("hierarchical", "ladder")
BATCH_BOUNDS = ("free_bits", "capacity")  # not linear in the KL: which KL it is, objective.kl_over says
MOST_FULL = 5000  # latents of a full covariance: 12 million numbers for each image
# Options that only some values of other fields read.
READERS: dict[str, dict[str, tuple[Any, ...]]] = {
    **{f"sampler.{field.name}": {"sampler.kind": ("rarity",)} for field in fields(SamplerConfig)[1:]},
    "model.prior_components": {"model.prior": ("mixture", "vamp")},
    "model.rank": {"model.posterior": ("low_rank",)},
    "model.flows": {"model.prior": FLOW_PRIORS, "model.posterior": FLOW_POSTERIORS},
    "model.flow_hidden": {"model.prior": FLOW_PRIORS, "model.posterior": ("iaf", "coupling")},
    "model.first_latents": {"model.kind": LAYERED},
    "model.upper_hidden": {"model.kind": LAYERED},
    "model.components": {"model.likelihood": ("logistic_mixture",)},
    "objective.groups": {"objective.bound": ("miwae",), "objective.estimator": ("piwae",)},
    "objective.mix": {"objective.bound": ("ciwae",)},
    "objective.alpha": {"objective.bound": ("renyi",)},
    "objective.free_bits": {"objective.bound": ("free_bits",)},
    "objective.capacity": {"objective.bound": ("capacity",)},
    "objective.capacity_weight": {"objective.bound": ("capacity",)},
    "objective.kl_over": {"objective.bound": BATCH_BOUNDS},
    "objective.penalty_weight": {"objective.penalty": ("mmd", "dip_i", "dip_ii", "total_correlation")},
    "optim.eps": {"optim.name": ("adam", "adamw")},
}


def check_parts(config: Config) -> None:
    """Raises `ValueError` where two parts do not fit, or an option was changed that nothing reads."""
    values, defaults = dict(flatten(config)), dict(flatten(Config()))
    for option, readers in READERS.items():
        unread = not any(values[field] in names for field, names in readers.items())
        if unread and values[option] != defaults[option]:
            ways = ", or ".join(f"{flag(field)} to {' or '.join(map(str, names))}" for field, names in readers.items())
            raise ValueError(
                f"{option} is {words(values[option])}, but nothing reads it here: set {ways}, or leave it at "
                f"{words(defaults[option])}."
            )
    _check_sampler(config)
    _check_model(config)
    _check_objective(config)
    _check_optim(config)


def _check_sampler(config: Config) -> None:
    model = config.model
    if config.sampler.kind == "rarity" and (model.kind != "vae" or model.posterior != "diagonal"):
        raise ValueError(
            f"sampler.kind is 'rarity', which reads a diagonal Gaussian posterior, and model.kind is {model.kind!r}, "
            f"model.posterior {model.posterior!r}. Set --model.kind vae --model.posterior diagonal, or "
            f"--sampler.kind uniform."
        )


def _check_model(config: Config) -> None:
    model = config.model
    if model.network == "conv" and not model.features:
        raise ValueError("model.features is empty, expected at least one layer. Set --model.features 32 64.")
    if model.scale != "fixed" and model.likelihood not in ("normal", "laplace"):
        raise ValueError(
            f"model.scale is {model.scale!r}, but model.likelihood {model.likelihood!r} has no such scale. "
            f"Set --model.likelihood normal (or laplace), or --model.scale fixed."
        )
    if model.kind != "vae":
        for field, usual in (("prior", "standard_normal"), ("posterior", "diagonal")):
            if (value := getattr(model, field)) != usual:
                raise ValueError(
                    f"model.{field} is {value!r}, but model.kind {model.kind!r} has its own. Set --model.kind vae, or "
                    f"--model.{field} {usual}."
                )
    if model.posterior == "full" and model.latent_dim > MOST_FULL:
        raise ValueError(
            f"model.latent_dim is {model.latent_dim}, expected at most {MOST_FULL} for model.posterior 'full', whose "
            f"encoder emits Z (Z + 3) / 2 numbers. Set --model.posterior low_rank, or a smaller --model.latent-dim."
        )
    if model.kind in LAYERED and model.network != "mlp":
        raise ValueError(f"model.network is {model.network!r}, but model.kind {model.kind!r} takes 'mlp'.")
    one_output = model.likelihood == "bernoulli" or (model.likelihood == "normal" and model.scale != "per_pixel")
    if model.output_bias != "zero" and not (model.network == "mlp" and one_output):
        raise ValueError(
            f"model.output_bias is {model.output_bias!r}, which needs model.network 'mlp' and model.likelihood "
            f"'bernoulli', or 'normal' of one scale, not {model.network!r}, {model.likelihood!r} and "
            f"{model.scale!r}. Set --model.output-bias zero."
        )


def _check_objective(config: Config) -> None:
    model, objective = config.model, config.objective
    if objective.bound != "elbo" and (objective.beta != 1 or objective.warmup_epochs):
        raise ValueError(
            f"objective.beta is {objective.beta:g} and objective.warmup_epochs {objective.warmup_epochs:g}, "
            f"but the bound {objective.bound!r} has no KL to weigh: expected 1 and 0. Set --objective.bound elbo."
        )
    if model.kind == "autoencoder":
        usual = Config().objective
        for field in ("bound", "samples", "estimator", "beta", "warmup_epochs"):
            value, expected = getattr(objective, field), getattr(usual, field)
            if value != expected:
                raise ValueError(
                    f"objective.{field} is {value!r}, but an autoencoder has no posterior: expected {expected!r}. Set "
                    f"--model.kind vae, or leave it."
                )
    if objective.samples % objective.groups:
        raise ValueError(
            f"objective.groups is {objective.groups}, which objective.samples {objective.samples} is no multiple of. "
            f"{mend('objective.groups')}"
        )
    if objective.bound in BATCH_BOUNDS and objective.kl_over == "minibatch" and objective.estimator != "pathwise":
        raise ValueError(
            f"objective.estimator is {objective.estimator!r}, but {objective.bound} of the mean KL over the minibatch "
            f"has the pathwise gradient. Set --objective.estimator pathwise, or --objective.kl-over example."
        )
    if objective.penalty != "none" and model.kind in LAYERED:
        raise ValueError(
            f"objective.penalty is {objective.penalty!r}, but the codes of model.kind {model.kind!r} have two layers. "
            f"Set --model.kind vae, or --objective.penalty none."
        )
    if objective.penalty in ("dip_i", "dip_ii", "total_correlation") and (
        model.kind != "vae" or model.posterior != "diagonal"
    ):
        raise ValueError(
            f"objective.penalty is {objective.penalty!r}, which reads a diagonal Gaussian posterior. Set --model.kind "
            f"vae --model.posterior diagonal, or --objective.penalty mmd."
        )


def _check_optim(config: Config) -> None:
    optim = config.optim
    if optim.weight_decay and optim.name != "adamw":
        raise ValueError(
            f"optim.weight_decay is {optim.weight_decay:g}, but {optim.name!r} has none. "
            f"Set --optim.name adamw, or --optim.weight-decay 0."
        )
    if optim.schedule == "burda" and optim.warmup_epochs:
        raise ValueError(
            f"optim.warmup_epochs is {optim.warmup_epochs:g}, but the schedule 'burda' has none: expected 0."
        )
    if config.micro_batch is not None and config.batch_size % config.micro_batch:
        raise ValueError(
            f"micro_batch is {config.micro_batch}, which batch_size {config.batch_size} is no multiple of. Set a "
            f"--micro-batch that divides it, or None."
        )
