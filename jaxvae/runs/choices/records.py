"""What a table says of each value of an option: how it is made, and which options it reads. No JAX is imported.

To add a prior, a likelihood, a bound, a penalty or a kind of model to the command line, write one entry in its table:
the types in --help, the refusals and the builders are all made from the entries.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from jaxvae.models.records import Conditional, Model, Network, Observation

    MakePosterior = Callable[..., Conditional]


# A config or a part of one. Configs are made of the tables, so that no table can name them.
Options = Any
DataKind = Literal["images", "table", "counts"]
Protocol = Literal["auto", "grey", "threshold", "dynamic", "levels", "dequantize", "standardize", "counts"]
Told = Literal["none", "some", "all"]  # whose labels a model is told
# Options that every kind of model takes but those that say they do not: parts, and the bound.
PARTS = ("model.prior", "model.posterior", "sampler.kind", "objective.penalty")
BOUND = ("objective.bound", "objective.samples", "objective.estimator", "objective.beta", "objective.warmup_epochs")


class Given(NamedTuple):
    """What a model is made for, beside its config.

    Attributes:
        event_shape: (H, W, C).
        bias: the decoder outputs to start from, flat; None to start at zero.
        classes: how many the data have; None where the kind takes no labels.
        raw: training examples that parameters may start from: uint8 images, or rows as the model sees them; None for a
            trained model, which brings its own.
        levels: of grey that are told apart.
        protocol: by which x is made.
    """

    event_shape: tuple[int, ...]
    bias: tuple[float, ...] | None = None
    classes: int | None = None
    raw: Any = None
    levels: int = 256
    protocol: Protocol = "dynamic"

    def known_classes(self) -> int:
        """The number of classes, for a kind that is told them.

        Example:
            >>> Given((8, 8, 1), classes=10).known_classes()
            10
        """
        if self.classes is None:
            raise ValueError("classes is missing, expected their number: this kind of model takes labels.")
        return self.classes


class Networks(NamedTuple):
    """An encoder and a decoder; `build_encoder` and `build_decoder` make them.

    Attributes:
        about: what they are, in a few words.
        reads, ignores: see `Likelihood`.
    """

    about: str
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()


class Size(NamedTuple):
    """How large a residual network is, where its features are not given.

    Attributes:
        width: channels of the finest resolution; each coarser one has twice as many.
        blocks: at each resolution.
        reads, ignores: see `Likelihood`.
    """

    width: int = 0
    blocks: int = 1
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()


class Likelihood(NamedTuple):
    """p(x | z) of one pixel, or of one column.

    Attributes:
        make: (ModelConfig, data.levels, channels of an example) -> `Observation`.
        protocols: those whose values it can score, of each kind of data the usual one first.
        reads: options that only some choices read, as model.components.
        ignores: options that all other choices of the table take.
        one_output: whether one number of the decoder for each pixel says its mean, so that it can start at the data's.
        scales: the values of model.scale that it takes; () all of them, where it takes any.
    """

    make: "Callable[..., Observation]"
    protocols: tuple[Protocol, ...]
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    one_output: bool = False
    scales: tuple[str, ...] = ()


class Prior(NamedTuple):
    """p(z).

    Attributes:
        make: (ModelConfig, Given, encoder) -> `Conditional`.
        reads, ignores: see `Likelihood`.
        inverted: whether its density takes an inverse, so that rounding can lose it.
    """

    make: "Callable[[Any, Given, Network], Conditional]"
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    inverted: bool = False


class Posterior(NamedTuple):
    """q(z | x).

    Attributes:
        make: (ModelConfig) -> (encoder, latent_dim, *, to_input) -> `Conditional`, as `vae` takes it.
        reads, ignores: see `Likelihood`.
        diagonal: whether it is a Gaussian with a mean and a log-variance of each latent.
        most: the largest latent_dim, and why.
    """

    make: "Callable[[Any], MakePosterior]"
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    diagonal: bool = False
    most: tuple[int, str] | None = None


class Bound(NamedTuple):
    """What training maximises.

    Attributes:
        make: (ObjectiveConfig, beta) -> the bound with the options that are structure, and those that are numbers.
        reads, ignores: see `Likelihood`.
        of_batch: whether it is not linear in the KL: which KL it is, objective.kl_over says.
    """

    make: Callable[[Any, Any], tuple[Any, dict[str, Any]]]
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    of_batch: bool = False


class Estimator(NamedTuple):
    """How the gradient of a bound is estimated.

    Attributes:
        make: (ObjectiveConfig) -> as `bound_loss(estimator=)` takes it.
        reads, ignores: see `Likelihood`.
    """

    make: Callable[[Any], Any]
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()


class Penalty(NamedTuple):
    """What is asked beside the bound.

    Attributes:
        make: (ObjectiveConfig, Model) -> as `bound_loss(batch_penalty=)` takes it.
        reads, ignores: see `Likelihood`.
        loss: (ObjectiveConfig, Model, number of training examples) -> a loss in place of bound and penalty.
        diagonal: whether it reads mean and log-variance of a diagonal Gaussian posterior.
        compare: (ObjectiveConfig, Model) -> the model that also pays for how its reconstructions look.
    """

    make: "Callable[[Any, Model], Any]"
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    loss: "Callable[[Any, Model, int], Any] | None" = None
    diagonal: bool = False
    compare: "Callable[[Any, Model], Model] | None" = None


class Kind(NamedTuple):
    """A kind of model.

    What it can do its `Model` says: evidence, draw, the supports of prior and posterior, context.

    Attributes:
        about: what it is, as a sentence begins.
        make: (ModelConfig, Given, Observation) -> `Model`.
        reads, ignores: see `Likelihood`.
        protocols: those whose x it scores by itself, of each kind of data the usual one first; () where it takes a
            likelihood, which says them.
        labels: whether it is told the class of "all" examples, of "some" (model.labelled), or of "none".
        pictures: whether it takes pictures alone, for their height and width.
        loss: (Config, Model) -> a loss of its own; None for the bound and the penalty of the objective.
        optimizer: (Config, make) -> an optimizer of its own, of those that make(rate=1.0) gives at a multiple of the
            learning rate; None for make().
        usual: {field: number, numbers, or a function of the options} of the fields that are None where nobody says
            them, such as model.weight; `settled` writes them into the config of a run.
    """

    about: str
    make: "Callable[[Any, Given, Observation], Model]"
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    protocols: tuple[Protocol, ...] = ()
    labels: Told = "none"
    pictures: bool = False
    loss: "Callable[[Any, Model], Any] | None" = None
    optimizer: Callable[[Any, Any], Any] | None = None
    usual: Mapping[str, float | tuple[int, ...] | Callable[[Any], float]] = {}
