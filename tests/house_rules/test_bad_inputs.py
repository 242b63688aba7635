"""One table of impossible inputs, a row or more for every public entry point: each error says what was passed, where
in an array it is, and what is accepted. Values are refused before any work; files before anything is written.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import LATENTS, SHAPE, Encoder, Linear, binarize, images, small_vae

import jaxvae
from jaxvae.commands.parts.train_line import parse_train
from jaxvae.data.protocols import fixed_binarization, grey
from jaxvae.evaluation import latents, plots
from jaxvae.evaluation.latents import generation
from jaxvae.models.records import merge
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.presets import PRESETS
from jaxvae.runs.configs.serialize import from_json, read_config
from jaxvae.runs.configs.validate import validate
from jaxvae.runs.folder.run_folder import create, find
from jaxvae.training.checkpoints import checkpoint
from jaxvae.training.checkpoints.weights import load_weights

pytestmark = pytest.mark.quick_compile

NAN, INFINITY = float("nan"), float("inf")
KEY = jax.random.key(0)
ZERO = np.zeros(SHAPE, np.float32)


class Bad(NamedTuple):
    """A call, the error it must end in, and words of its message: the name, the value, what is accepted."""

    call: Callable
    error: type[Exception]
    words: list[str]


def value(call, *words):
    return Bad(call, ValueError, list(words))


def kind(call, *words):
    return Bad(call, TypeError, list(words))


def missing(call, *words):
    return Bad(call, FileNotFoundError, list(words))


@functools.cache
def small():
    model = small_vae()
    return model, jax.jit(model.init)(KEY, jnp.asarray(ZERO))


def config(**groups):
    """A config with some fields of some groups changed, as `config(optim={"lr": 0.0}, seed=1)`."""
    base = Config()
    for name, change in groups.items():
        changed = dataclasses.replace(getattr(base, name), **change) if isinstance(change, dict) else change
        base = dataclasses.replace(base, **{name: changed})
    return validate(base)


def batch(at=None, number=0.0, count=5):
    """Binary examples, one pixel of which is something else."""
    x = np.zeros((count, *SHAPE), np.float32)
    if at is not None:
        x[at] = number
    return x


def loss_of(x, **options):
    model, params = small()
    return jaxvae.bound_loss(model, **options)(params, jax.random.split(KEY, len(x)), x, jnp.int32(0))


def measure(x, **options):
    return jaxvae.per_example(*small(), KEY, x, **options)


def build(latent_dim=LATENTS, event_shape=SHAPE, encoder=None, decoder=None, observation=None):
    encoder, decoder = encoder or Encoder(), decoder or Linear(16, SHAPE)
    return jaxvae.vae(encoder, decoder, event_shape=event_shape, latent_dim=latent_dim, observation=observation)


def fit(model=None, data=None, **options):
    return jaxvae.fit(small()[0] if model is None else model, images() if data is None else data, **options)


def compiled(**options):
    options = {"batch_size": 10, "steps_per_call": 5, "mode": "jit", **options}
    return jaxvae.compile_steps(jaxvae.bound_loss(small()[0]), jaxvae.make_optimizer(), binarize, **options)


def train(data=None, steps=1, batch_size=10, **options):
    state = jaxvae.init_state(small()[0], jaxvae.make_optimizer(), KEY, jnp.asarray(ZERO))
    made = compiled(batch_size=batch_size)
    return list(jaxvae.train(made, state, images() if data is None else data, steps, **options))


def zeros(*shape):
    return jnp.zeros(shape)


MATH = {
    "raw pixels as probabilities": value(
        lambda: jaxvae.bernoulli_log_prob(jnp.array([0.0, 255.0]), zeros(2)),
        *("x has the value 255.0", "index (1,)", "range seen 0.0 to 255.0", "[0, 1]", "x / 255.0"),
    ),
    "pixels from -1 to 1": value(
        lambda: jaxvae.math.continuous_bernoulli_log_prob(jnp.array([-1.0, 1.0]), zeros(2)),
        *("x has the value -1.0", "-1.0 to 1.0", "[0, 1]", "(x + 1.0) / 2.0"),
    ),
    "a NaN pixel": value(
        lambda: jaxvae.bernoulli_log_prob(jnp.array([[0.5, NAN]]), zeros(1, 2)),
        *("x has the value nan", "index (0, 1)", "[0, 1]"),
    ),
    "integer pixels": kind(
        lambda: jaxvae.bernoulli_log_prob(np.uint8([0, 255]), zeros(2)), "x has dtype uint8", "float", "/ 255.0"
    ),
    "one log-variance an example": value(
        lambda: jaxvae.normal_kl_standard(zeros(5, 3), zeros(5)), "log_var has shape (5,)", "expected (5, 3)", "vmap"
    ),
    "a log-variance that would broadcast": value(
        lambda: jaxvae.normal_kl(zeros(5, 3), zeros(5, 1), zeros(5, 3), zeros(5, 3)),
        *("log_var_q has shape (5, 1)", "expected (5, 3)"),
    ),
    "sampling with other shapes": value(
        lambda: jaxvae.reparameterize(KEY, zeros(3), zeros(4)), "log_var has shape (4,)", "expected (3,)"
    ),
    "a NaN mean": value(
        lambda: jaxvae.normal_log_prob(zeros(2), jnp.array([0.0, NAN]), zeros(2)),
        *("mean has the value nan", "index (1,)", "jax_debug_nans"),
    ),
    "levels off the grid": value(
        lambda: jaxvae.math.discretized_logistic_log_prob(jnp.array([3.0, 0.1234]), zeros(2), zeros(2)),
        *("x has the value 0.1234", "index (1,)", "whole numbers 0..255", "jnp.round(x * 255)"),
    ),
    "levels above the last": value(
        lambda: jaxvae.math.discretized_logistic_log_prob(jnp.array([256]), zeros(1), zeros(1)),
        *("x has the value 256", "[0, 255]"),
    ),
    "a mixture without components": value(
        lambda: jaxvae.math.logistic_mixture_log_prob(zeros(2), zeros(2), zeros(2, 3), zeros(2, 3)),
        *("logits has shape (2,)", "expected (2,)", "one more axis [M]"),
    ),
    "a category that does not exist": value(
        lambda: jaxvae.math.categorical_log_prob(jnp.array([4]), zeros(1, 4)), "x has the value 4", "[0, 3]"
    ),
    "a category that 32 bits would take for another": value(
        lambda: jaxvae.math.categorical_log_prob(np.array([2**32 + 1]), zeros(1, 4)),
        "x has the value 4294967297",
        "[0, 3]",
    ),
    "text for numbers": kind(lambda: jaxvae.math.laplace_log_prob("x", 0.0, 0.0), "x is 'x' (str)", "array of numbers"),
    "nothing to average": value(lambda: jaxvae.log_mean_exp(zeros(0)), "x has shape (0,)", "at least one"),
    "a negative weight of the KL": value(
        lambda: loss_of(batch(), beta=-1.0), "beta is -1.0", "finite number of at least 0"
    ),
    "a weight that is no number": value(
        lambda: jaxvae.bound_loss(small()[0], beta=NAN), "beta is nan", "finite number"
    ),
    "an infinite weight": value(lambda: jaxvae.bound_loss(small()[0], beta=INFINITY), "beta is inf", "finite number"),
    "no sample axis": value(
        lambda: jaxvae.iwae_bound(small()[0].terms(small()[1], KEY, ZERO)), "log_weight has shape ()", "[K]", "vmap"
    ),
}
DATA = {
    "floats up to 255": value(
        lambda: jaxvae.data.from_array(np.full((2, 4, 4), 255.0)), "255.0", "(0, 0, 0, 0)", "[0, 1]", "images / 255"
    ),
    "floats from -1": value(lambda: jaxvae.data.from_array(-np.ones((2, 4, 4))), "value -1.0", "[0, 1]"),
    "a NaN in an image": value(
        lambda: jaxvae.data.from_array(np.where(np.arange(32).reshape(2, 4, 4) == 21, NAN, 0)), "nan", "(1, 1, 1, 0)"
    ),
    "flat pixels": value(lambda: jaxvae.data.from_array(np.zeros((5, 784))), "(5, 784)", "[N, H, W, C]", "reshape"),
    "channels first": value(
        lambda: jaxvae.data.from_array(np.zeros((5, 3, 8, 8))), "(5, 3, 8, 8)", "[N, C, H, W]", "moveaxis"
    ),
    "no images": value(lambda: jaxvae.data.from_array(np.zeros((0, 4, 4))), "empty", "(0, 4, 4)", "at least one"),
    "wide integers": value(
        lambda: jaxvae.data.from_array(np.zeros((2, 4, 4), int)), "dtype int64", "uint8 in 0..255", "astype"
    ),
    "too few labels": value(
        lambda: jaxvae.data.from_array(np.zeros((3, 4, 4)), labels=[0, 1]), "labels have shape (2,)", "(3,)"
    ),
    "a negative label": value(
        lambda: jaxvae.data.from_array(np.zeros((3, 4, 4)), labels=[0, -1, 2]), "labels", "-1", "(1,)", "from 0 up"
    ),
    "a float label": value(
        lambda: jaxvae.data.from_array(np.zeros((2, 4, 4)), labels=[0.5, 1]), "labels have dtype float64", "integers"
    ),
    "a misspelt data set": value(
        lambda: jaxvae.data.load("minst"), "unknown data set 'minst'", "Did you mean 'mnist'", "digits"
    ),
    "a data set that is not prepared": missing(
        lambda: jaxvae.data.load("mnist"), "'mnist' is not prepared", "pip install", "TFDS_DATA_DIR", "digits"
    ),
    "a split that does not exist": value(lambda: jaxvae.data.load("digits", "tset"), "'tset'", "train, test"),
    "a misspelt option": value(lambda: jaxvae.data.load("shapes", sise=8), "'sise'", "Did you mean 'size'", "scales"),
    "an option out of range": value(lambda: jaxvae.data.load("shapes", size=1), "size is 1", "at least 4"),
    "a path that leads nowhere": missing(lambda: jaxvae.data.load("./none.npz"), "none.npz", "Check the path"),
    "no name at all": kind(lambda: jaxvae.data.load(None), "None (NoneType)", "a name or a path"),
    "floats for a protocol": kind(lambda: grey(KEY, jnp.zeros(SHAPE)), "float32", "expected uint8", "from_array"),
    "an impossible seed of the noise": value(
        lambda: fixed_binarization(images(), seed=-1), "seed is -1", "0..2**64 - 1"
    ),
    "a preprocessed image for a loss": value(
        lambda: loss_of(batch((2, 1, 0, 0), 255)), "x has the value 255.0", "by 255"
    ),
}
MODELS = {
    "latent_dim 0": value(lambda: build(0), "latent_dim is 0", "at least 1"),
    "latent_dim -1": value(lambda: build(-1), "latent_dim is -1", "at least 1"),
    "latent_dim 2.5": kind(lambda: build(2.5), "latent_dim is 2.5 (float)", "an integer"),
    "latent_dim '4'": kind(lambda: build("4"), "latent_dim is '4' (str)", "an integer"),
    "latent_dim True": kind(lambda: build(True), "latent_dim is True (bool)", "an integer"),
    "an event without pixels": value(lambda: build(event_shape=(4, 0, 1)), "event_shape is 0", "at least 1"),
    "an event that is no tuple": kind(lambda: build(event_shape=16), "event_shape is 16", "(28, 28, 1)"),
    "an observation that was not called": kind(
        lambda: build(observation=jaxvae.normal), "observation is", "bernoulli()"
    ),
    "a latent space of another size": value(
        lambda: build(5).init(KEY, ZERO) and build(5).terms(small()[1], KEY, ZERO),
        *("the encoder returned [(3,), (3,)]", "each of shape (5,)"),
    ),
    "a decoder that emits too little": value(
        lambda: build(observation=jaxvae.observations.logistic_mixture(2)).likelihood.mean(small()[1], zeros(3)),
        *("the decoder returned (4, 4, 1)", "expected (4, 4, 6)", "6 number(s) per channel", "'logistic_mixture'"),
    ),
    "a name used twice": value(lambda: merge({"encoder": 1}, {"encoder": 2}), "'encoder'", "another name"),
    "an unknown variance": value(
        lambda: jaxvae.normal("variable"), "variance_type is 'variable'", "'learned'", "'per_pixel'"
    ),
    "a width of 0": value(lambda: jaxvae.observations.laplace(width=0.0), "width is 0.0", "above 0"),
    "one level": value(lambda: jaxvae.observations.categorical(1), "levels is 1", "at least 2"),
    "no component": value(lambda: jaxvae.observations.logistic_mixture(0), "components is 0", "at least 1"),
    "no hidden units": value(lambda: jaxvae.MLPEncoder(2, (0,)), "hidden is 0", "at least 1"),
    "a width that is no tuple": kind(lambda: jaxvae.MLPDecoder(SHAPE, hidden=400), "hidden is 400", "(400,)"),
    "a misspelt activation": value(
        lambda: jaxvae.MLPEncoder(2, activation="rleu"), "activation is 'rleu'", "Did you mean 'relu'", "gelu"
    ),
    "an image that the strides cannot halve": value(
        lambda: jaxvae.ConvDecoder((7, 9, 1), features=(8, 16)), "(7, 9, 1)", "2 layers", "multiples of 4", "8 x 8"
    ),
    "an example for a batch": value(lambda: loss_of(ZERO), "x has shape (4, 4, 1)", "(B, 4, 4, 1)", "x[None]"),
    "a batch for an example": value(
        lambda: small()[0].terms(small()[1], KEY, batch()), "x has shape (5, 4, 4, 1)", "(4, 4, 1)", "jax.vmap"
    ),
    "a batch without its channel": value(lambda: loss_of(batch()[..., 0]), "x has shape (5, 4, 4)", "x[..., None]"),
    "the same pixels in another shape": value(lambda: loss_of(np.zeros((5, 2, 8, 1), np.float32)), "(5, 2, 8, 1)"),
}
TRAINING = {
    "an unknown optimizer": value(lambda: jaxvae.make_optimizer("adma"), "optimizer is 'adma'", "adam", "sgd"),
    **{
        f"learning rate {rate}": value(
            functools.partial(jaxvae.make_optimizer, "adam", rate), f"learning_rate is {rate}", "above 0"
        )
        for rate in (-1.0, 0.0, NAN, INFINITY)
    },
    "a b1 of one": value(lambda: jaxvae.make_optimizer("adam", b1=1.0), "b1 is 1.0", "below 1"),
    "a b1 of none": value(lambda: jaxvae.make_optimizer("sgd", b1=0.5), "b1 is 0.5", "Use 'adam', or None"),
    "a learning rate in words": kind(lambda: jaxvae.make_optimizer("adam", "fast"), "learning_rate is 'fast'"),
    "a clip of 0": value(lambda: jaxvae.make_optimizer(clip=0.0), "clip is 0.0", "above 0"),
    "weight decay that nothing uses": value(
        lambda: jaxvae.make_optimizer("adam", weight_decay=0.1), "weight_decay is 0.1", "'adam'", "adamw"
    ),
    "negative weight decay": value(
        lambda: jaxvae.make_optimizer("adamw", weight_decay=-0.1), "weight_decay is -0.1", "at least 0"
    ),
    "an unknown schedule": value(
        lambda: jaxvae.training.learning_rate_schedule("cosin", 1e-3, 10), "schedule is 'cosin'", "cosine"
    ),
    "a warm-up that goes back": value(
        lambda: jaxvae.training.learning_rate_schedule("constant", 1e-3, 10, -5), "warmup_steps is -5", "at least 0"
    ),
    "a warm-up without steps": value(lambda: jaxvae.training.kl_warmup(0), "warmup_steps is 0", "at least 1"),
    "an average that runs away": value(lambda: compiled(ema=1.5), "ema is 1.5", "at most 1"),
    "an unknown mode": value(lambda: compiled(mode="gpu"), "mode is 'gpu'", "auto, jit, pmap, mesh"),
    "a batch that devices cannot share": value(
        lambda: compiled(batch_size=7, mode="pmap"), "batch_size is 7", "2 devices", "6 or 8"
    ),
    "a batch of nothing": value(lambda: compiled(batch_size=0), "batch_size is 0", "at least 1"),
    "a batch in words": kind(lambda: compiled(batch_size="128"), "batch_size is '128' (str)", "an integer"),
    "a batch larger than the data": value(
        lambda: train(batch_size=64), "batch_size is 64", "50 examples", "at most 50"
    ),
    "no data": value(lambda: train(images()[:0]), "0 examples", "at least one batch"),
    "negative steps": value(lambda: train(steps=-1), "steps is -1", "at least 0"),
    "half a step": kind(lambda: train(steps=1.5), "steps is 1.5 (float)", "an integer"),
    "no patience": value(lambda: train(max_skipped=0), "max_skipped is 0", "at least 1"),
    "no samples": value(lambda: jaxvae.bound_loss(small()[0], samples=0), "samples is 0", "at least 1"),
    "a legacy key": kind(
        lambda: jaxvae.init_state(small()[0], jaxvae.make_optimizer(), jax.random.PRNGKey(0), ZERO),
        *("dtype uint32", "jax.random.key(seed)"),
    ),
    "fitting floats by a protocol for pixels": kind(
        lambda: fit(data=images() / 255, protocol="grey"),
        *("images have dtype float64", "'grey'", "uint8", "Leave protocol out", "from_array"),
    ),
    "fitting other images": value(lambda: fit(data=np.zeros((9, 5, 5, 1), np.uint8)), "(9, 5, 5, 1)", "(N, 4, 4, 1)"),
    "a misspelt protocol": value(
        lambda: fit(protocol="dynamik"), "unknown protocol 'dynamik'", "'dynamic'", "grey", "levels"
    ),
    "no epochs": value(lambda: fit(epochs=0), "epochs is 0", "at least 1"),
    "fitting with too large a batch": value(lambda: fit(), "batch_size is 128", "50 examples", "at most 50"),
    "a seed that would repeat another": value(lambda: fit(seed=2**32), "seed is 4294967296", "from 0 to 4294967295"),
    "a negative seed": value(lambda: fit(seed=-1), "seed is -1", "from 0 to 4294967295"),
}
EVALUATION = {
    "raw pixels": value(lambda: measure(batch((3, 0, 1, 0), 200)), "x has the value 200.0", "(3, 0, 1, 0)", "[0, 1]"),
    "integer images": kind(lambda: measure(images()), "x has dtype uint8", "float", "/ 255"),
    "a NaN in the test data": value(lambda: measure(batch((4, 3, 3, 0), NAN)), "nan", "(4, 3, 3, 0)"),
    "K = 0": value(lambda: measure(batch(), samples=0), "samples is 0", "at least 1"),
    "no test data": value(lambda: measure(batch(count=0)), "0 examples", "at least one"),
    "codes of other images": value(
        lambda: latents.encode(*small(), np.zeros((5, 16), np.float32)), "x has shape (5, 16)", "(B, 4, 4, 1)"
    ),
    "a code of another size": value(lambda: generation.decode(*small(), zeros(5, 2)), "z has shape (5, 2)", "(N, 3)"),
    "no prior samples": value(lambda: generation.prior_samples(*small(), KEY, 0), "count is 0", "at least 1"),
    "a latent that does not exist": value(
        lambda: generation.traverse(*small(), zeros(3), 3, [0.0]), "latent is 3", "0 to 2"
    ),
    "a plane of one axis": value(
        lambda: generation.manifold(*small(), (1, 1)), "latents is (1, 1)", "two different ones"
    ),
    "an interpolation in one step": value(
        lambda: generation.interpolate(*small(), batch(), batch(), steps=1), "steps is 1", "at least 2"
    ),
    "ends that are no pairs": value(
        lambda: generation.interpolate(*small(), batch(), batch(count=4)), "a has 5", "b 4", "expected as many"
    ),
    "a tail of more than half": value(lambda: latents.gaussian_quantiles(5, 0.7), "tail is 0.7", "at most"),
    "more latents than there are": value(lambda: latents.strongest_latents(np.ones(3), 4), "count is 4", "only 3"),
    "images without channels": value(lambda: plots.image_grid(np.zeros((5, 8, 8))), "(5, 8, 8)", "[..., None]"),
    "images on another scale": value(
        lambda: plots.image_grid(np.full((2, 4, 4, 1), 255.0)), "255.0", "[0, 1]", "model.to_unit"
    ),
    "a history of nothing": value(lambda: plots.loss_curves([]), "none of 0", "Train first"),
    "a KL that is not finite": value(lambda: plots.kl_per_latent(np.array([1.0, NAN])), "kl", "nan", "finite nats"),
    "labels of other points": value(
        lambda: plots.codes(np.zeros((5, 2)), labels=[1, 2]), "labels has shape (2,)", "(5,)"
    ),
    "a picture of another format": value(
        lambda: plots.save(plots.image_grid(np.zeros((1, 4, 4, 1)))[0], "a.jpg"), "'a.jpg'", ".png"
    ),
}


def terms_of(x=ZERO):
    model, params = small()
    return model.terms(params, KEY, x)


def loss_with(keys):
    model, params = small()
    return jaxvae.bound_loss(model)(params, keys, batch(), jnp.int32(0))


TERMS = "expected Terms, as model.terms(params, key, x) returns them"
MODEL = "expected a Model, as jaxvae.vae(...) returns it"
ONE_KEY = "expected one JAX random key"
STRANGERS = {
    **{
        f"{name} of {what}": kind(functools.partial(function, thing), f"terms is {seen}", TERMS)
        for what, thing, seen in (
            ("nothing", None, "None (NoneType)"),
            ("a number", 3.0, "3.0 (float)"),
            ("an array", np.zeros(3), "an array of shape (3,) (ndarray)"),
        )
        for name, function in (
            ("elbo", jaxvae.elbo),
            ("iwae_bound", jaxvae.iwae_bound),
            ("ciwae_bound", functools.partial(jaxvae.objectives.ciwae_bound, beta=0.5)),
            ("renyi_bound", functools.partial(jaxvae.objectives.renyi_bound, alpha=0.5)),
            ("free_bits_bound", functools.partial(jaxvae.objectives.free_bits_bound, free_nats=0.1)),
            ("capacity_bound", functools.partial(jaxvae.objectives.capacity_bound, capacity=1.0)),
            ("balanced_bound", jaxvae.objectives.balanced_bound),
        )
    },
    "terms with one KL for all": value(
        lambda: jaxvae.elbo(jaxvae.Terms(-80.0, 25.0, -104.0, 0.0, None, None)), "terms.kl has shape ()", "[..., L]"
    ),
    "a model instead of its terms": kind(lambda: jaxvae.elbo(small()[0]), "terms is Model(init=", TERMS),
    "a weight that is a dict": kind(lambda: jaxvae.elbo(terms_of(), {}), "beta is {} (dict)", "expected a number"),
    **{
        f"{name} for a key": kind(functools.partial(jaxvae.reparameterize, thing, zeros(3), zeros(3)), *words)
        for name, thing, words in (
            ("a seed", 7, ["key is 7 (int)", ONE_KEY, "Pass jax.random.key(7)."]),
            ("nothing", None, ["key is None", ONE_KEY, "jax.random.key(0)"]),
            ("floats", zeros(2), ["key is of dtype float32 and shape (2,)", ONE_KEY]),
            ("several keys", jax.random.split(KEY, 3), ["shape (3,)", ONE_KEY, "jax.vmap"]),
        )
    },
    "a seed for gumbel noise": kind(lambda: jaxvae.math.gumbel_softmax(1, zeros(3), 1.0), "key is 1 (int)", ONE_KEY),
    "a seed for directions": kind(
        lambda: jaxvae.math.von_mises_fisher_sample(1, jnp.array([1.0, 0.0]), jnp.float32(1.0)),
        "key is 1 (int)",
        ONE_KEY,
    ),
    "a seed for a permutation": kind(
        lambda: jaxvae.objectives.permute_latents(1, zeros(4, 2)), "key is 1 (int)", ONE_KEY
    ),
    "a seed for parameters": kind(lambda: small()[0].init(1, ZERO), "key is 1 (int)", ONE_KEY),
    "a seed for a sample": kind(lambda: small()[0].terms(small()[1], 1, ZERO), "key is 1 (int)", ONE_KEY),
    "a seed for an evaluation": kind(lambda: jaxvae.per_example(*small(), 1, batch()), "key is 1 (int)", ONE_KEY),
    "a seed for prior samples": kind(lambda: generation.prior_samples(*small(), 1, 3), "key is 1 (int)", ONE_KEY),
    "a seed for codes": kind(
        lambda: jaxvae.evaluation.fitted_priors.draw_codes(*small(), 1, batch()), "key is 1 (int)", ONE_KEY
    ),
    "a seed for a state": kind(
        lambda: jaxvae.init_state(small()[0], jaxvae.make_optimizer(), 1, ZERO), "key is 1 (int)", ONE_KEY
    ),
    "one key for a batch": value(lambda: loss_with(KEY), "keys has shape ()", "(5,)", "jax.random.split(key, 5)"),
    "keys of another batch": value(lambda: loss_with(jax.random.split(KEY, 3)), "keys has shape (3,)", "(5,)"),
    "a number for the keys of a batch": kind(lambda: loss_with(3), "keys is 3 (int)", "5 JAX random keys"),
    **{
        f"{what} for a model in {where}": kind(functools.partial(function, thing), f"model is {seen}", MODEL, *fix)
        for what, thing, seen, fix in (
            ("nothing", None, "None (NoneType)", []),
            ("a constructor", jaxvae.vae, "<function vae", ["Call it first"]),
            ("a run", jaxvae.runs.Run(None, {}, None), "Run(model=None", ["Unpack it", "model.model"]),
        )
        for where, function in (
            ("fit", lambda thing: jaxvae.fit(thing, images())),
            ("bound_loss", jaxvae.bound_loss),
            (
                "batch_bound_loss",
                lambda thing: jaxvae.losses.batch_bound_loss(thing, jaxvae.objectives.free_bits_bound, free_nats=0.1),
            ),
            ("per_example", lambda thing: jaxvae.per_example(thing, {}, KEY, batch())),
            ("prior_samples", lambda thing: generation.prior_samples(thing, {}, KEY, 3)),
            ("decode", lambda thing: generation.decode(thing, {}, zeros(3, 3))),
            ("encode", lambda thing: latents.encode(thing, {}, batch())),
            ("condition", lambda thing: jaxvae.models.condition(thing, 1)),
            ("init_state", lambda thing: jaxvae.init_state(thing, jaxvae.make_optimizer(), KEY, ZERO)),
            ("vq_loss", jaxvae.losses.vq_loss),
        )
    },
    "a fit for its parameters": kind(
        lambda: jaxvae.per_example(small()[0], jaxvae.runs.Fit({}, []), KEY, batch()),
        *("params is a Fit", "dict of parameters", "Pass its .params"),
    ),
    "parameters of another model": value(
        lambda: small()[0].terms({"decoder": 1}, KEY, ZERO), "no part 'encoder'", "['decoder']", "another model"
    ),
    "parameters and key the wrong way round": kind(
        lambda: small()[0].terms(KEY, small()[1], ZERO), "params is a PRNGKeyArray", "dict of parameters"
    ),
    "no encoder": kind(
        lambda: jaxvae.vae(None, Linear(16, SHAPE), event_shape=SHAPE, latent_dim=3), "encoder is None", "MLPEncoder(3)"
    ),
    "an encoder that was not called": kind(
        lambda: build(encoder=jaxvae.MLPEncoder), "encoder is <class", "init and apply", "MLPEncoder(3)"
    ),
    "a decoder that was not called": kind(
        lambda: build(decoder=jaxvae.MLPDecoder), "decoder is <class", "init and apply", "MLPDecoder("
    ),
    "a word for a bound": kind(lambda: jaxvae.bound_loss(small()[0], "elbo"), "bound is 'elbo'", "jaxvae.elbo"),
    "a bound for a loss": kind(
        lambda: fit(loss=jaxvae.elbo), "loss is <function elbo", "(params, keys, batch, step)", "bound_loss(model"
    ),
    "a loss that returns a number": kind(
        lambda: fit(loss=lambda params, keys, x, step: jnp.sum(x), batch_size=10), "returned a", "(scalar, metrics)"
    ),
    "a loss for each example": kind(
        lambda: fit(loss=lambda params, keys, x, step: (x, {}), batch_size=10), "float32[", "(scalar, metrics)"
    ),
    "the name of an optimizer": kind(
        lambda: fit(optimizer="adam"), "optimizer is 'adam' (str)", "jaxvae.make_optimizer('adam', 1e-3)"
    ),
    "an optimizer that was not called": kind(
        lambda: fit(optimizer=jaxvae.make_optimizer), "optimizer is <function make_opt", "Optax transformation"
    ),
    "a learning rate for an optimizer": kind(lambda: fit(optimizer=1e-3), "optimizer is 0.001 (float)"),
    "an optimizer in a list": value(lambda: jaxvae.make_optimizer(["adam"]), "optimizer is ['adam']", "adam, "),
    "nothing to preprocess with": kind(
        lambda: jaxvae.training.make_step(jaxvae.bound_loss(small()[0]), jaxvae.make_optimizer(), None),
        "preprocess is None",
    ),
    "room for no steps": kind(lambda: compiled(steps_per_call="5"), "steps_per_call is '5' (str)", "an integer"),
    "no compiled steps": kind(lambda: list(jaxvae.train(None, None, images(), 1)), "compiled is None", "compile_steps"),
    "parameters for a state": kind(
        lambda: list(jaxvae.train(compiled(), small()[1], images(), 1)), "state is a dict", "init_state"
    ),
    "a list for images": value(lambda: fit(data=[[1, 2]]), "images have shape (1, 2)", "(N, 4, 4, 1)"),
    "rows of different lengths": kind(lambda: fit(data=[[1], [2, 3]]), "images is a list", "inhomogeneous"),
    "nothing for images": kind(lambda: fit(data=jaxvae.Terms), "images is <class", "array of numbers"),
    "the name of a data set": kind(
        lambda: fit(data="digits"), "images is 'digits' (str)", "jaxvae.data.load('digits')"
    ),
    "a whole data set": kind(
        lambda: fit(data=jaxvae.data.load("digits")), "images is a Dataset", "Pass its .images", "labels=its .labels"
    ),
    "images and labels in one": kind(
        lambda: fit(data=jaxvae.Labelled(images(), np.zeros(50))), "images is a Labelled", ".value", "labels="
    ),
    "words in the data": kind(lambda: fit(data=np.array([["a"]])), "images has dtype <U1", "array of numbers"),
    "complex data": kind(lambda: fit(data=images() * 1j), "images has dtype complex128", "array of numbers"),
    "wide integers where floats are scored": kind(
        lambda: fit(data=images().astype(int)), "images has dtype int64", "float", "images / 255.0"
    ),
    "pixels on another scale": value(lambda: fit(data=images() * 1.0), "images has the value", "[0, 1]", "by 255"),
    "a NaN to train on": value(lambda: fit(data=np.full((9, *SHAPE), NAN)), "value nan at index (0, 0, 0, 0)"),
    "rows of pixels": value(lambda: fit(data=images().reshape(50, 16)), "(50, 16)", "images.reshape(-1, 4, 4, 1)"),
    "channels before the pixels": value(
        lambda: fit(data=np.moveaxis(images(), -1, 1)), "(50, 1, 4, 4)", "np.moveaxis(images, 1, -1)"
    ),
    "pixels for counts": value(
        lambda: fit(small_vae(observation=jaxvae.observations.poisson())), "protocol is missing", "protocol='levels'"
    ),
    "a count that 32 bits would take for another": value(
        lambda: fit(small_vae(observation=jaxvae.observations.poisson()), images().astype(int) + 2**32),
        *("images has the value 4294967", "(0, 0, 0, 0)", "[0, 1.67772e+07]"),
    ),
    "a level that 32 bits would take for another": value(
        lambda: fit(small_vae(observation=jaxvae.observations.categorical(8)), images().astype(int) - 2**32),
        *("images has the value -429496", "[0, 7]"),
    ),
    "labels that 32 bits would take for others": value(
        lambda: fit(labels=np.full(50, 2**32 + 1), loss=lambda params, keys, x, step: (0.0, {})),
        *("labels has the value 4294967297", "(0,)", "int32"),
    ),
    "examples that a device would keep as others": value(
        lambda: compiled().place_images(images().astype(int) + 2**32), "images has the value 4294967", "int32"
    ),
    "half a count": value(
        lambda: fit(small_vae(observation=jaxvae.observations.poisson()), images() + 0.5),
        "images has the value",
        "whole numbers",
    ),
    "a protocol in a list": value(lambda: fit(protocol=["grey"]), "unknown protocol ['grey']", "grey, threshold"),
    "words for labels": kind(
        lambda: fit(labels=["a", "b"], loss=lambda params, keys, x, step: (0.0, {})), "labels has dtype <U1"
    ),
    "words for weights": kind(lambda: fit(weights="all"), "weights is 'all' (str)"),
    "an axis that does not exist": value(lambda: jaxvae.log_mean_exp(zeros(3), axis=1), "axis is 1", "(3,)"),
    "a relaxed number": value(lambda: jaxvae.math.gumbel_softmax(KEY, 0.0, 1.0), "logits has shape ()", "[..., K]"),
    "a surrogate of another shape": value(
        lambda: jaxvae.math.straight_through(zeros(3), zeros(2)), "surrogate has shape (2,)", "expected (3,)"
    ),
    "a kernel in words": kind(
        lambda: jaxvae.objectives.mmd(zeros(3, 2), zeros(3, 2), "rbf"), "kernel is 'rbf'", "rbf_kernel()"
    ),
    "a matrix for a function": kind(
        lambda: jaxvae.objectives.jacobian_penalty(zeros(3, 3), zeros(3)), "function is an array"
    ),
    "an order in words": kind(lambda: jaxvae.flows.permutation("abc"), "order is 'abc'", "[2, 0, 1]"),
    "parameters to summarise": kind(lambda: jaxvae.summarize(small()[0]), "values is a Model", "per_example"),
    "examples for a setting": kind(
        lambda: jaxvae.evaluate(*small(), batch(), batch()), "setting is an array", "Setting(data, examples"
    ),
    "a step for a path of values": kind(
        lambda: generation.traverse(*small(), zeros(3), 0, 5), "values is 5", "gaussian_quantiles"
    ),
    "bits of every example": kind(
        lambda: jaxvae.evaluation.bounds.bits_per_dimension(np.zeros(5), 3), "shape (5,)", "a number: a mean"
    ),
}


def folder_rows(tmp: Path):
    """Rows that need a folder of their own."""
    file = tmp / "config.json"
    dataclass_like = {"state": np.zeros(2, np.float32)}

    def read(text):
        file.write_text(text)
        return read_config(file)

    return {
        "a file for a run folder": missing(
            lambda: (tmp / "run.txt").touch() or jaxvae.load(tmp / "run.txt"), "run.txt", "it is no folder"
        ),
        "nothing for a run folder": kind(lambda: jaxvae.load(None), "workdir is None", "a path"),
        "no run folder": missing(lambda: jaxvae.load(tmp / "none"), "none", "it is no folder", "Train one"),
        "a folder without a run": missing(lambda: find(tmp), "has no config.json", "--workdir"),
        "a run folder that leads out": value(lambda: create("../other"), "workdir is '../other'", "'..'", "absolute"),
        "a run folder that is no path": kind(lambda: create(7), "workdir is 7 (int)", "a path"),
        "no config file": missing(lambda: read_config(tmp / "a.json"), "a.json", "A run writes config.json"),
        "an empty config": value(lambda: read(""), "is empty", "JSON object"),
        "a list for a config": value(lambda: read("[1]"), "[1]", "expected an object"),
        "a field given twice": value(lambda: read('{"seed": 1, "seed": 2}'), "'seed' appears twice"),
        "NaN in a config": value(lambda: read('{"optim": {"lr": NaN}}'), "NaN is no JSON number"),
        "a misspelt field": value(
            lambda: read(json.dumps({"model": {"latent_dims": 3}})), "'model.latent_dims'", "'model.latent_dim'"
        ),
        "no checkpoint": missing(
            lambda: checkpoint.restore(tmp / "none", dataclass_like), "no checkpoint", "Train and save first"
        ),
        "keeping no checkpoint": value(
            lambda: checkpoint.save(tmp / "c", dataclass_like, step=1, keep=0), "keep is 0", "at least 1"
        ),
        "a NaN in a checkpoint": value(
            lambda: checkpoint.save(tmp / "c", {"w": np.float32([NAN])}, step=1), "w", "nan", "last good checkpoint"
        ),
        "a state without a step": value(lambda: checkpoint.save(tmp / "c", dataclass_like), "dict", "`step`"),
        "no weights": missing(lambda: load_weights(tmp / "w.safetensors"), "w.safetensors"),
        "weights that are something else": value(
            lambda: (tmp / "w.safetensors").write_bytes(b"no weights") and load_weights(tmp / "w.safetensors"),
            *("w.safetensors", "not a whole safetensors file"),
        ),
        "a picture into no folder": missing(
            lambda: plots.save(plots.image_grid(np.zeros((1, 4, 4, 1)))[0], tmp / "none" / "a.png"), "no folder"
        ),
    }


RUNS = {
    "a misspelt preset": value(
        lambda: parse_train(["mnits"]), "unknown preset 'mnits'", "did you mean 'mnist'", *PRESETS
    ),
    "a misspelt option of the command": value(
        lambda: parse_train(["digits", "--optim.learning-rate", "1"]), "--optim.learning-rate", "--help"
    ),
    "words for a number": value(lambda: parse_train(["digits", "--epochs", "abc"]), "abc", "--epochs"),
    "an unknown likelihood": value(
        lambda: config(model={"likelihood": "bernouli"}), "'bernouli'", "'bernoulli'", "categorical"
    ),
    "an unknown bound": value(lambda: config(objective={"bound": "elbow"}), "'elbow'", "'elbo'", "iwae"),
    "likelihood and protocol that do not fit": value(
        lambda: config(model={"likelihood": "categorical"}, data={"protocol": "dynamic"}),
        "data.protocol is 'dynamic'",
        "--data.protocol levels",
    ),
    "epochs 0": value(lambda: config(epochs=0), "epochs is 0", "at least 1"),
    "save_every -1": value(lambda: config(save_every=-1), "save_every is -1", "at least 1"),
    "seed 1.5": kind(lambda: config(seed=1.5), "seed is 1.5 (float)", "an integer"),
    "batch_size '128'": kind(lambda: config(batch_size="128"), "batch_size is '128' (str)", "an integer"),
    "lr NaN": value(lambda: config(optim={"lr": NAN}), "optim.lr is nan", "finite number above 0", "0.001"),
    "clip 0": value(lambda: config(optim={"clip": 0.0}), "optim.clip is 0.0", "above 0", "None"),
    "ema 1.5": value(lambda: config(optim={"ema": 1.5}), "optim.ema is 1.5", "below 1", "None"),
    "beta -1": value(lambda: config(objective={"beta": -1.0}), "objective.beta is -1.0", "at least 0"),
    "latent_dim of a config": kind(lambda: config(model={"latent_dim": True}), "model.latent_dim is True (bool)"),
    "a config that is none": kind(lambda: validate({"epochs": 3}), "config is", "(dict)", "Config"),
    "a config of the wrong kind": kind(lambda: from_json('{"model": 3}'), "model is 3 (int)", "an object"),
}
TABLE = MATH | DATA | MODELS | TRAINING | EVALUATION | STRANGERS | RUNS
FOLDERS = list(folder_rows(Path("unused")))


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    """An empty data folder and working folder: a row that writes before it looks would leave a trace."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def assert_refused(bad):
    with pytest.raises(bad.error) as caught:
        bad.call()
    message = str(caught.value)
    for word in bad.words:
        assert word in message, f"{word!r} is not in: {message}"


@pytest.mark.rows(slow=["a negative weight of the KL", "no sample axis", "a loss that returns a number"])
@pytest.mark.parametrize("what", TABLE)
def test_bad_input_is_refused_with_its_name_its_value_and_what_is_accepted(what, tmp_path):
    assert_refused(TABLE[what])
    assert [path.name for path in tmp_path.rglob("*")] == ["data"]


@pytest.mark.parametrize("what", FOLDERS)
def test_bad_files_are_refused_with_their_path_and_a_remedy(what, tmp_path):
    assert_refused(folder_rows(tmp_path)[what])


@pytest.mark.slow
def test_the_table_is_long_and_no_row_hides_another():
    parts = (MATH, DATA, MODELS, TRAINING, EVALUATION, STRANGERS, RUNS)
    assert len(TABLE) == sum(map(len, parts))
    assert len(TABLE) + len(FOLDERS) >= 200
