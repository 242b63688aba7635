"""The records every model is made of: plain tuples of pure functions of one parameter dict.

A network is anything with `.init(key, *inputs)` and `.apply(variables, *inputs)`; a Flax Linen module already is one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import jax

from jaxvae.checks import refuse_state, shown
from jaxvae.data.rows import looked_at
from jaxvae.models.contexts import Context, Labelled, count_examples, split_context
from jaxvae.models.events import check_event
from jaxvae.objectives.terms import DiagNormal, Terms

Array = jax.Array
Key = jax.Array
Params = dict[str, Any]
Evidence = Literal["exact", "weights", "bound", "none"]
Support = Literal["real", "sphere", "one_hot", "codebook", "simplex", "integers", "bins", "mixed", "none"]


class Network(Protocol):
    """What the library asks of a network."""

    def init(self, key: Key, /, *inputs: Array) -> Any: ...

    def apply(self, variables: Any, /, *inputs: Array) -> Any: ...


class Conditional(NamedTuple):
    """p(value | context) for one example; every function receives the whole parameter dict.

    Attributes:
        init: (key, context) -> params, a flat dict of named subtrees.
        sample: (params, key, context) -> (value, log density [] in nats); the key is consumed.
        log_prob: (params, value, context) -> [] nats.
        mean: (params, context) -> value.
        distribution: (params, context) -> `DiagNormal`, or None where this is no diagonal Gaussian. Two
            conditionals that have one get their KL in closed form.
        sample_with_kl: (params, key, context, p) -> (value, log density [], KL to the `DiagNormal` p []), for
            another conditional with such a closed form; one pass of its network serves all three. Or None.
        log_prob_observed: (params, value, context, observed) -> [] nats, the log density of the elements of value where
            the mask `observed` (of its shape) is true, the others integrated out; what they hold does not matter. None
            where elements are not independent given the context.
        complete: (params, key, value, context, observed) -> (value, log weight [] nats): the elements that are not
            observed drawn anew, in an order of its own, each told the elements before it; the weight is the density of
            the observed elements on that way; draws weighted by it have the law p(value | observed elements). Or None.
        support: the space of the values and the measure of the densities, see models/meaning.py; two conditionals
            whose densities are compared have the same. "none" where there is no such conditional, see `absent`.
        level_log_probs: (params, context) -> [*event_shape, L] nats, the log probability of each of the whole numbers
            0 .. L-1 at every element, where elements are independent given the context and can be no others. Or None.
        visit: (params, pick, context) -> value: the elements one after the other, each told those before it:
            pick(index [], log probabilities [L]) -> value [] is asked for each, in the order of `ravel`. Of elements
            that are whole numbers 0 .. L-1; or None.
        groups: of a chain of values (v_1, ..., v_n), drawn one given the other, the conditional of each of them, each
            told the one that was drawn before. None where the value is no chain.
        flow: of a base pushed through a bijection, the `Flow` of both; or None.
        redraw: (params, key, value, kept, temperature, context) -> value, see `top_down_vae`; or None.
    """

    init: Callable[[Key, Any], Params]
    sample: Callable[[Params, Key, Any], tuple[Array, Array]]
    log_prob: Callable[[Params, Array, Any], Array]
    mean: Callable[[Params, Any], Array]
    distribution: Callable[[Params, Any], DiagNormal] | None = None
    sample_with_kl: Callable[[Params, Key, Any, DiagNormal], tuple[Array, Array, Array]] | None = None
    log_prob_observed: Callable[[Params, Array, Any, Array], Array] | None = None
    support: Support = "real"
    complete: Callable[[Params, Key, Array, Any, Array], tuple[Array, Array]] | None = None
    level_log_probs: Callable[[Params, Any], Array] | None = None
    visit: Callable[[Params, Callable[[Array, Array], Array], Any], Array] | None = None
    groups: tuple[Any, ...] | None = None
    flow: Any = None
    redraw: Callable[[Params, Key, Any, Any, Any, Any], Any] | None = None


class Observation(NamedTuple):
    """p(x | decoder outputs) for one example x of any event shape [..., C]; outputs are float32 or float64.

    Attributes:
        name: the name of its constructor.
        channels: how many numbers per channel of x the decoder must emit: outputs are [..., C * channels].
        init: () -> parameters of its own, {} where it has none.
        log_prob: (params, x, outputs) -> [] nats, summed over the event.
        sample: (params, key, outputs) -> x; the key is consumed.
        mean: (params, outputs) -> E[x], in the units of x.
        to_unit: x -> [0, 1], what networks see and pictures show.
        check: (x, name) -> None; raises `TypeError` for a dtype and `ValueError` for values of a concrete x that are
            not of the support. x may be a batch; the message calls it `name`.
        discrete: whether log_prob is the logarithm of a probability, so that bits per dimension make sense.
        parts: of `joint`, the observation model of each part by name; None for one array.
        independent: whether log_prob is a sum over pixels, so that some of them have a density of their own.
        levels: how many values x may have at an element, 0 .. levels - 1, independent given the outputs; None where
            there is no end to them, or x is no whole number.
    """

    name: str
    channels: int
    init: Callable[[], Params]
    log_prob: Callable[[Params, Array, Array], Array]
    sample: Callable[[Params, Key, Array], Array]
    mean: Callable[[Params, Array], Array]
    to_unit: Callable[[Any], Array]
    check: Callable[[Array, str], None]
    discrete: bool
    parts: Mapping[str, Any] | None = None
    independent: bool = True
    levels: int | None = None


class Model(NamedTuple):
    """A generative model, written for ONE example and vmapped by the caller.

    Attributes:
        init: (key, x) -> params; wrap it in `jax.jit` for speed.
        terms: (params, key, x) -> `Terms`; the key is consumed.
        posterior: q(z | x). prior: p(z), with context None. likelihood: p(x | z).
        event_shape: the shape of one example, (H, W, C) for images; or a dict of shapes, and x is a dict of arrays.
        to_unit: maps x (in the units of the likelihood) onto [0, 1], for pictures.
        check: (x, name) -> None; raises for a dtype, or values of a concrete x, that the likelihood cannot score.
        context: None, and x is one array; or a `Context`, and x is `Labelled(value, context)` for init, terms and the
            posterior, the prior's context is the context, and the likelihood is p(value | Labelled(z, context)).
            `condition` turns such a model into one of the value alone. event_shape, to_unit and check are the value's.
        evidence: what `Terms.log_weight` says of log p(x).
            "exact": it is log p(x), as for a density without latents; one pass, and more samples change nothing.
            "weights": exp(log_weight) has the mean p(x), as for a VAE; importance-weighted bounds, annealing.
            "bound": only its mean is below log p(x); a mean with its Monte Carlo error, never a log-mean-exp.
            "none": nothing, as for an autoencoder or a GAN.
        draw: (params, key, context) -> x; the key is consumed. None: z from the prior, then x from the likelihood.
    """

    init: Callable[[Key, Any], Params]
    terms: Callable[[Params, Key, Any], Terms]
    posterior: Conditional
    prior: Conditional
    likelihood: Conditional
    event_shape: Any
    to_unit: Callable[[Any], Any]
    check: Callable[[Any, str], None] = lambda x, name: None
    context: Context | None = None
    evidence: Evidence = "weights"
    draw: Callable[[Params, Key, Any], Any] | None = None


def as_model(name: str, model: Any) -> Model:
    """Returns the model; raises `TypeError` for anything else, such as a constructor that was not called.

    Example:
        >>> as_model("model", None)
        Traceback (most recent call last):
        TypeError: model is None (NoneType), expected a Model, as jaxvae.vae(...) returns it.
    """
    if isinstance(model, Model):
        return model
    fix = f"Call it first, as in {name} = jaxvae.vae(...)." if callable(model) else ""
    if hasattr(model, "model") and hasattr(model, "params"):
        fix = f"Unpack it: model, params, config = jaxvae.load(...), or pass {name}.model."
    raise TypeError(f"{name} is {shown(model)}, expected a Model, as jaxvae.vae(...) returns it. {fix}".rstrip())


def check_batch(model: Model, x: Any, name: str = "x") -> None:
    """Raises an error naming the argument unless x is a batch (B, *model.event_shape) that the model can score.

    A conditional model takes `Labelled(value, context)`, of which the value is that batch and the context has B rows.

    Raises:
        ValueError, TypeError: for another shape or dtype, no examples, or (outside `jit`) values outside the support of
            the likelihood; for a context that is missing, of another length or out of range, or one too many.
    """
    as_model("model", model)
    if model.context is not None:
        x, context = split_context(model.context, x, name)
        model.context.check(context, f"{name}.context")
        count_examples(Labelled(x, context), name)
        name = f"{name}.value"
    elif isinstance(x, Labelled):
        raise ValueError(f"{name} is Labelled, but the model takes no context. Pass {name}.value.")
    first = jax.tree.map(looked_at, x)
    check_event(name, first, model.event_shape, batch=True)
    count_examples(x, name)
    model.check(first, name)


def as_network(name: str, network: Any, such_as: str) -> Any:
    """Returns a network; raises `TypeError` for what has no `init` and `apply`, such as a class not yet called.

    Example:
        >>> as_network("encoder", None, "MLPEncoder(2)")
        Traceback (most recent call last):
        TypeError: encoder is None (NoneType), expected an object with init and apply, such as MLPEncoder(2).
    """
    if isinstance(network, type) or not (hasattr(network, "init") and hasattr(network, "apply")):
        nnx = any(base.__module__.startswith("flax.nnx") for base in type(network).__mro__)
        fix = " For an nnx module: jaxvae.networks.from_nnx(lambda rngs: YourModule(rngs=rngs))." if nnx else ""
        raise TypeError(f"{name} is {shown(network)}, expected an object with init and apply, such as {such_as}.{fix}")
    return network


def part_of(params: Any, name: str) -> Any:
    """params[name], where a model looks for the parameters of one of its parts.

    Raises:
        TypeError: for what is no dict, such as the whole result of `fit`.
        ValueError: for parameters of another model, which lack the part.

    Example:
        >>> part_of({"encoder": 1}, "encoder")
        1
    """
    if not isinstance(params, Mapping):
        fix = "Pass its .params." if hasattr(params, "params") else ""
        raise TypeError(
            f"params is a {type(params).__name__}, expected the dict of parameters that model.init(key, x) or training "
            f"returns. {fix}".rstrip()
        )
    if name not in params:
        raise ValueError(f"params have no part {name!r}, only {sorted(params)}: they belong to another model.")
    return params[name]


def merge(*parts: Mapping[str, Any]) -> Params:
    """Joins parameter dicts; a name used twice, and a network with state, raise `ValueError` naming it.

    Example:
        >>> sorted(merge({"encoder": 1}, {"decoder": 2}))
        ['decoder', 'encoder']
    """
    merged: Params = {}
    for part in parts:
        for name, subtree in part.items():
            if name in merged:
                raise ValueError(
                    f"two parts of the model both name their parameters {name!r} (names so far: {sorted(merged)}, "
                    f"the second part brings {sorted(part)}). Give one of them another name."
                )
            merged[name] = subtree
    refuse_state(merged)
    return merged
