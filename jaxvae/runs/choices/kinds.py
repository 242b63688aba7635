"""Kinds of model, by name: the tables of the families in one."""

from jaxvae.runs.choices.adversarial import ADVERSARIAL
from jaxvae.runs.choices.autoencoders import AUTOENCODERS
from jaxvae.runs.choices.densities import DENSITIES
from jaxvae.runs.choices.labelled import LABELLED
from jaxvae.runs.choices.records import Kind
from jaxvae.runs.choices.variational import VARIATIONAL

KINDS: dict[str, Kind] = VARIATIONAL | LABELLED | AUTOENCODERS | ADVERSARIAL | DENSITIES
