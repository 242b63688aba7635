"""Kinds of model, by name: the tables of the families in one."""

from jaxvae.runs.choices.adversarial.games import GAMES
from jaxvae.runs.choices.adversarial.joined import JOINED
from jaxvae.runs.choices.autoencoders import AUTOENCODERS
from jaxvae.runs.choices.densities import DENSITIES
from jaxvae.runs.choices.diffusion import DIFFUSION
from jaxvae.runs.choices.flows import FLOWS
from jaxvae.runs.choices.labelled import LABELLED
from jaxvae.runs.choices.likelihoods import LIKELIHOODS
from jaxvae.runs.choices.records import Kind, Options, Protocol
from jaxvae.runs.choices.variational import VARIATIONAL

KINDS: dict[str, Kind] = VARIATIONAL | LABELLED | AUTOENCODERS | JOINED | GAMES | DENSITIES | FLOWS | DIFFUSION


def protocols_of(model: Options) -> tuple[Protocol, ...]:
    """Protocols whose x a model scores: those of its kind, or of its likelihood; of each kind of data the usual first.

    Args:
        model: a ModelConfig.

    Example:
        >>> from jaxvae.runs.configs.config import ModelConfig
        >>> protocols_of(ModelConfig(kind="maf")), protocols_of(ModelConfig(likelihood="poisson"))
        (('dequantize', 'levels', 'dynamic', 'threshold', 'standardize'), ('levels', 'counts'))
    """
    return KINDS[model.kind].protocols or LIKELIHOODS[model.likelihood].protocols
