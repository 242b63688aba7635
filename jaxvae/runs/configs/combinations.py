"""Which parts of a model, an objective and an optimizer fit together, and which options nothing would read."""

from collections.abc import Mapping
from dataclasses import fields, replace

from jaxvae.runs.choices.bounds import BOUNDS
from jaxvae.runs.choices.flows import WHOLE
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.choices.penalties import PENALTIES
from jaxvae.runs.choices.posteriors import POSTERIORS
from jaxvae.runs.choices.table import TABLES, readers, takers
from jaxvae.runs.configs.config import Config, SamplerConfig
from jaxvae.runs.configs.fields import flag, flatten, mend, words
from jaxvae.runs.configs.names import show

# Options that only some values of other fields read: those of the tables, and of options that have no table.
READERS: dict[str, dict[str, tuple[str, ...]]] = {
    **{f"sampler.{field.name}": {"sampler.kind": ("rarity",)} for field in fields(SamplerConfig)[1:]},
    **readers(),
    "optim.eps": {"optim.name": ("adam", "adamw")},
    "optim.b1": {"optim.name": ("adam", "adamw")},
}


def without_unread(config: Config, asked: Mapping[str, str]) -> Config:
    """A preset for another kind, network or size: what that does not take is not the preset's, but the default.

    Args:
        config: the preset's.
        asked: values of model.kind, model.network and model.size that are not the preset's.

    Example:
        >>> from jaxvae.runs.configs.presets import PRESETS
        >>> PRESETS["digits"].model.latent_dim
        8
        >>> without_unread(PRESETS["digits"], {"model.kind": "pixel_cnn"}).model.latent_dim
        20
    """
    defaults, ignored = dict(flatten(Config())), [TABLES[field][name].ignores for field, name in asked.items()]
    names = [name for names in ignored for name in names if name.startswith("model.")]
    model = {name.removeprefix("model."): defaults[name] for name in names}
    own = KINDS[asked["model.kind"]].protocols if "model.kind" in asked else ()
    protocol = "auto" if own and config.data.protocol not in own else config.data.protocol
    return replace(config, data=replace(config.data, protocol=protocol), model=replace(config.model, **model))


def check_parts(config: Config) -> None:
    """Raises `ValueError` where two parts do not fit, or an option was changed that nothing reads."""
    values, defaults = dict(flatten(config)), dict(flatten(Config()))
    for option, by_field in READERS.items():
        unread = not any(values[field] in names for field, names in by_field.items())
        if unread and values[option] != defaults[option]:
            ways = ", or ".join(f"{flag(field)} {' or '.join(names)}" for field, names in by_field.items())
            raise ValueError(
                f"{option} is {words(values[option])}, but nothing reads it here: set {ways}, or leave it at "
                f"{words(defaults[option])}."
            )
    for field, table in TABLES.items():
        for option in table[values[field]].ignores:
            if values[option] != defaults[option]:
                others = " or ".join(takers(field, option))
                raise ValueError(
                    f"{option} is {show(values[option])}, which {field} {values[field]!r} does not take. Set "
                    f"{flag(option)} {words(defaults[option])}, or {flag(field)} {others}."
                )
    _check_model(config)
    _check_objective(config)
    _check_optim(config)


def _check_model(config: Config) -> None:
    model, posterior = config.model, POSTERIORS[config.model.posterior]
    if KINDS[model.kind].pictures and config.data.kind != "images":
        others = " or ".join(name for name, kind in KINDS.items() if not kind.pictures)
        raise ValueError(
            f"model.kind is {model.kind!r}, which goes from pixel to pixel of a picture, but data.kind is "
            f"{config.data.kind!r}. Set --model.kind {others}."
        )
    if model.dequantization != "uniform" and config.data.protocol not in WHOLE:
        raise ValueError(
            f"model.dequantization is {model.dequantization!r}, which fills the gaps between whole levels, but "
            f"data.protocol is {config.data.protocol!r}. Set --data.protocol levels, or --model.dequantization uniform."
        )
    if model.network != "mlp" and not model.features:
        raise ValueError("model.features is empty, expected at least one layer. Set --model.features 32 64.")
    lists = {name: len(getattr(model, name)) for name in ("groups", "features", "factors")}
    if model.kind == "deep" and (len(set(lists.values())) > 1 or not model.groups):
        raise ValueError(
            f"model.groups, features and factors have {', '.join(map(str, lists.values()))} numbers, expected as many "
            f"in each: one for each resolution. Set --model.groups 2 2 --model.features 32 64 --model.factors 2 2."
        )
    if posterior.most is not None and model.latent_dim > posterior.most[0]:
        most, why = posterior.most
        raise ValueError(
            f"model.latent_dim is {model.latent_dim}, expected at most {most} for model.posterior "
            f"{model.posterior!r}, {why}. Set --model.posterior low_rank, or a smaller --model.latent-dim."
        )
    scales = LIKELIHOODS[model.likelihood].scales
    if scales and model.scale not in scales:
        raise ValueError(
            f"model.scale is {model.scale!r}, but model.likelihood {model.likelihood!r} takes {' or '.join(scales)}. "
            f"Set one of these, or --model.likelihood normal."
        )
    one_output = LIKELIHOODS[model.likelihood].one_output and model.scale != "per_pixel"
    if model.output_bias != "zero" and not one_output:
        raise ValueError(
            f"model.output_bias is {model.output_bias!r}, which needs model.likelihood 'bernoulli', or "
            f"'normal' of one scale, not {model.likelihood!r} and {model.scale!r}. Set --model.output-bias zero."
        )


def _check_objective(config: Config) -> None:
    model, objective = config.model, config.objective
    if objective.samples % objective.groups:
        raise ValueError(
            f"objective.groups is {objective.groups}, which objective.samples {objective.samples} is no multiple of. "
            f"{mend('objective.groups')}"
        )
    if BOUNDS[objective.bound].of_batch and objective.kl_over == "minibatch" and objective.estimator != "pathwise":
        raise ValueError(
            f"objective.estimator is {objective.estimator!r}, but {objective.bound} of the mean KL over the minibatch "
            f"has the pathwise gradient. Set --objective.estimator pathwise, or --objective.kl-over example."
        )
    if PENALTIES[objective.penalty].diagonal and not POSTERIORS[model.posterior].diagonal:
        raise ValueError(
            f"objective.penalty is {objective.penalty!r}, which reads a diagonal Gaussian posterior. Set "
            f"--model.posterior diagonal, or --objective.penalty mmd."
        )
    if PENALTIES[objective.penalty].compare and objective.estimator != "pathwise":
        raise ValueError(
            f"objective.penalty is {objective.penalty!r}, but the estimator {objective.estimator!r} sees no pictures. "
            f"Set --objective.estimator pathwise, or --objective.penalty none."
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
