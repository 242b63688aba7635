"""What a config accepts: types from its annotations, ranges from a table, then fields that must fit."""

import math

from jaxvae.runs.choices.data import EXAMPLES, PROTOCOLS, fitting
from jaxvae.runs.choices.kinds import KINDS, protocols_of
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.configs.combinations import check_parts
from jaxvae.runs.configs.config import Config, DataConfig
from jaxvae.runs.configs.fields import flatten, mend, typed, words
from jaxvae.runs.configs.names import show
from jaxvae.runs.configs.ranges import RANGES, Range

_OFF = ("clip", "ema", "skip_above", "skip_ratio")
UNREAD = ("model.", "objective.", "sampler.", "optim.")  # by a run of a recipe, which has its own
READ = ("optim.ema", "optim.skip_above", "optim.skip_ratio", "optim.max_skipped")
LAYERS = 100  # of a network
PER_COLUMN = ("data.mean", "data.std")  # as many as a table has columns
OPTIONAL = ("model.time_steps", "micro_batch", "patience", *(f"optim.{name}" for name in _OFF))


def validate(config: Config) -> Config:
    """The same config with plain Python numbers, once every field is acceptable.

    Raises:
        TypeError: for a value of the wrong type, naming the dotted field, the value and what is accepted.
        ValueError: for an unknown name, a number out of range, or two fields that do not fit.

    Example:
        >>> from dataclasses import replace
        >>> validate(replace(Config(), keep=0))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: keep is 0, expected an integer of at least 1. The default is 3...
    """
    if not isinstance(config, Config):
        raise TypeError(
            f"config is {show(config)} ({type(config).__name__}), expected a jaxvae.runs.Config. "
            f"Take one from PRESETS, or read one with jaxvae.runs.read_config."
        )
    config = typed("", Config, config)
    for path, value in flatten(config):
        if path in RANGES and value is not None:
            if isinstance(value, tuple) and len(value) > LAYERS and path not in PER_COLUMN:
                raise ValueError(f"{path} has {len(value)} numbers, expected at most {LAYERS}. {mend(path)}")
            for number in value if isinstance(value, tuple) else (value,):
                _check_range(path, number, RANGES[path])
    _check_pairs(config)
    return config


def _check_range(path: str, value: float, accepted: Range) -> None:
    low, high, is_open = accepted
    inside = low < value < high if is_open else low <= value <= high
    if inside and math.isfinite(value):
        return
    kind = "an integer" if isinstance(value, int) else "a finite number"
    if low == -math.inf:
        bounds = ""
    elif is_open:
        bounds = f"above {low:g}" + (f" and below {high:g}" if high < math.inf else "")
    else:
        bounds = f"of at least {low:g}" + (f" and at most {high:.10g}" if low < high < value < math.inf else "")
    off = " or None, which switches it off" if path in OPTIONAL else ""
    raise ValueError(f"{path} is {value}, expected {kind} {bounds}{off}. {mend(path)}")


def _check_pairs(config: Config) -> None:
    """Raises where two fields, each right by itself, do not fit."""
    data = config.data
    if not data.name:
        raise ValueError(f"data.name is '', expected {EXAMPLES[data.kind].own}")
    for field in ("name", "train_split", "test_split"):
        text = getattr(data, field)
        if not text.strip() or "\0" in text:
            raise ValueError(f"data.{field} is {show(text)}, expected a name. {mend('data.' + field)}")
    if config.patience is not None and not config.validation_fraction:
        raise ValueError(
            f"patience is {config.patience}, but there are no validation images to wait for a better bound on: set "
            f"--validation-fraction 0.1, or leave patience at None."
        )
    if config.recipe.name is not None:
        _check_recipe(config)
        return
    _check_protocol(config)
    check_parts(config)


def _check_protocol(config: Config) -> None:
    """Raises where the likelihood cannot score what the protocol makes of this kind of data."""
    data, model = config.data, config.model
    usable = {name: fitting(likelihood.protocols, data.kind) for name, likelihood in LIKELIHOODS.items()}
    own = bool(KINDS[model.kind].protocols)
    mine = fitting(protocols_of(model), data.kind)
    if not mine and own:
        others = ", ".join(name for name, kind in KINDS.items() if not kind.protocols)
        raise ValueError(
            f"model.kind is {model.kind!r}, which scores no {data.kind}, but data.kind is {data.kind!r}. Set "
            f"--model.kind to one of {others}, or --data.kind to what the data are."
        )
    if not mine:
        others = ", ".join(name for name, protocols in usable.items() if protocols)
        raise ValueError(
            f"model.likelihood is {model.likelihood!r}, which scores no {data.kind}. Set --model.likelihood to one of "
            f"{others}, or --data.kind to what the data are."
        )
    usual = mine[0] if data.protocol == "auto" else data.protocol
    _check_levels(data, usual)
    if data.protocol in ("auto", *mine):  # which becomes the first of them that fits the data
        return
    if PROTOCOLS[data.protocol].kind != data.kind:
        raise ValueError(
            f"data.protocol is {data.protocol!r}, which makes x of {PROTOCOLS[data.protocol].kind}, but data.kind is "
            f"{data.kind!r}. Set --data.protocol {mine[0]}, or --data.kind {PROTOCOLS[data.protocol].kind}."
        )
    if own:
        raise ValueError(
            f"data.protocol is {data.protocol!r}, but model.kind {model.kind!r} is a density of the values of "
            f"the protocol {' or '.join(mine)}. Set --data.protocol {mine[0]}."
        )
    others = ", ".join(name for name, protocols in usable.items() if data.protocol in protocols)
    raise ValueError(
        f"data.protocol is {data.protocol!r}, but model.likelihood {model.likelihood!r} scores values of "
        f"the protocol {' or '.join(mine)}. Set --data.protocol {mine[0]}, or --model.likelihood to one of {others}."
    )


def _check_levels(data: DataConfig, protocol: str) -> None:
    """Raises where fewer grey levels are asked of a protocol that tells none apart."""
    if data.levels != 256 and not PROTOCOLS[protocol].levels:
        raise ValueError(
            f"data.levels is {data.levels}, but the protocol {protocol!r} tells no levels apart. Set --data.protocol "
            f"levels or dequantize and a likelihood that scores them, such as --model.likelihood discretized_logistic."
        )


def _check_recipe(config: Config) -> None:
    """Raises where an option was changed that a run of a recipe does not read."""
    defaults = dict(flatten(Config()))
    for path, value in flatten(config):
        if path.startswith(UNREAD) and path not in READ and value != defaults[path]:
            raise ValueError(
                f"{path} is {words(value)}, but {config.recipe.name} makes the model and its training: leave it at "
                f"{words(defaults[path])}."
            )
    if config.data.protocol == "auto":
        raise ValueError(f"data.protocol is 'auto', but {config.recipe.name} names none: expected one by name.")
    _check_levels(config.data, config.data.protocol)
