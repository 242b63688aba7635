"""A classifier trained on the data at hand: features for scores of samples, and a test of what an encoder is worth."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.checks import as_seed, finite_number, positive_integer, refuse_state
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.probes.probes import accuracy
from jaxvae.evaluation.samples.features import Features, as_input, check_labels
from jaxvae.evaluation.statistics import Estimate
from jaxvae.models.contexts import Labelled
from jaxvae.models.records import Key, Model, Network, Params
from jaxvae.networks.deterministic import MLPDeterministicEncoder
from jaxvae.training.engine.loop import train
from jaxvae.training.engine.optimizers import learning_rate_schedule, make_optimizer
from jaxvae.training.engine.parallel import compile_steps
from jaxvae.training.engine.state import TrainState

Array = jax.Array


class Classifier(NamedTuple):
    """p(y | x) = softmax(W f(x) + b), f a network.

    Attributes:
        features: x [N, ...] -> f(x) [N, F], the layer before the logits.
        probabilities: x [N, ...] -> p(y | x) [N, classes].
        accuracy: the part of held-out examples whose class it names, with its standard error (Agresti and Coull, 1998).
        params: {"network": f's variables, "weights": W [F, classes], "bias": b [classes]}.
    """

    features: Callable[[np.ndarray], np.ndarray]
    probabilities: Callable[[np.ndarray], np.ndarray]
    accuracy: Estimate
    params: Params


class Rectified(NamedTuple):
    """A network followed by max(0, .): its last layer becomes a hidden one.

    Without it two linear layers follow each other, and the features shrink to what the logits need.

    Example:
        >>> network, x = Rectified(MLPDeterministicEncoder(4, ())), jnp.ones((2, 2, 1))
        >>> bool((network.apply(network.init(jax.random.key(0), x), x) >= 0).all())
        True
    """

    network: Network

    def init(self, key: Key, /, *inputs: Array) -> Any:
        """(key, x) -> the network's variables."""
        return self.network.init(key, *inputs)

    def apply(self, variables: Any, /, *inputs: Array) -> Array:
        """(variables, x) -> max(0, network(x)) [F]."""
        return jax.nn.relu(self.network.apply(variables, *inputs))


class PosteriorMean(NamedTuple):
    """The encoder of a trained model as a network, x -> E[z | x]: start it from the model's own parameters.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = jnp.zeros((4, 4, 1))
        >>> PosteriorMean(model).apply(model.init(jax.random.key(0), x), x).shape
        (2,)
    """

    model: Model

    def init(self, key: Key, /, *inputs: Array) -> Any:
        """(key, x) -> fresh parameters of the whole model."""
        return self.model.init(key, *inputs)

    def apply(self, variables: Any, /, *inputs: Array) -> Array:
        """(params, x) -> E[z | x] [Z]."""
        return self.model.posterior.mean(variables, *inputs)


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray],
    *,
    network: Network | None = None,
    start: Any = None,
    **options: Any,
) -> Classifier:
    """A classifier of the images, judged by examples it never saw.

    Args:
        images: [N, ...] floats as the network takes them, or raw uint8, then divided by 255.
        labels: [N] integers, 0 to C - 1.
        held_out: images and labels that the accuracy is of.
        network: x [...] -> [F], the layer before the logits; by default an MLP of 256 and 64, rectified.
        start: the network's variables to begin with, as of a trained encoder; by default fresh ones.
        **options: steps, batch_size, learning_rate, seed of `classifier_trainer`.

    Raises:
        ValueError, TypeError: for labels that are no integers from 0 on, other lengths, or impossible options.

    Example:
        >>> from jaxvae.data import load
        >>> train, test = load("digits", "train"), load("digits", "test")
        >>> found = train_classifier(train.images, train.labels, (test.images, test.labels), steps=300)
        >>> found.accuracy.mean > 0.9, found.features(test.images).shape
        (True, (297, 64))
    """
    labels = check_labels("labels", labels, len(images))
    judged = check_labels("held-out labels", held_out[1], len(held_out[0]))
    classes = int(max(labels.max(), judged.max())) + 1
    network = Rectified(MLPDeterministicEncoder(64, (256,))) if network is None else network
    seed = options.pop("seed", 0)
    params = classifier_trainer(network, classes, **options)(images, labels, seed=seed, start=start)
    return classifier_of(network, params, held_out[0], judged)


def classifier_trainer(
    network: Network,
    classes: int,
    *,
    steps: int = 1000,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    size: int | None = None,
) -> Callable[..., Params]:
    """trainer(images, labels, *, seed, start=None) -> params, a program that serves many trainings.

    The mean of -log p(y | x) falls, by AdamW with a weight decay of 0.01 and a learning rate that falls to 0.

    Args:
        network: x [...] -> [F].
        classes: C.
        steps: of Adam. batch_size: examples in each, at most as many as there are.
        learning_rate: where it starts.
        size: examples are repeated in turns up to so many, so that few and many share one compiled program; None: not.

    Raises:
        ValueError, TypeError: for impossible options.

    Example:
        >>> from jaxvae.data import load
        >>> train = load("digits", "train")
        >>> trainer = classifier_trainer(MLPDeterministicEncoder(16, ()), 10, steps=5, size=1500)
        >>> sorted(trainer(train.images[:50], train.labels[:50], seed=0))
        ['bias', 'network', 'weights']
    """
    steps, classes = positive_integer("steps", steps), positive_integer("classes", classes, 2)
    batch_size = positive_integer("batch_size", batch_size)
    finite_number("learning_rate", learning_rate, above=True)
    optimizer = make_optimizer("adamw", learning_rate_schedule("cosine", learning_rate, steps), weight_decay=1e-2)

    def loss(params: Params, keys: Key, batch: Labelled, step: Array) -> tuple[Array, dict[str, Array]]:
        logits = _logits(network, params, batch.value)
        value = -jnp.take_along_axis(jax.nn.log_softmax(logits), batch.context[:, None], axis=1).mean()
        return value, {"loss": value}

    compiled: dict[int, Any] = {}

    def trainer(images: np.ndarray, labels: np.ndarray, *, seed: int, start: Any = None) -> Params:
        labels = check_labels("labels", labels, len(images))
        if labels.max() >= classes:
            raise ValueError(f"labels go up to {labels.max()}, expected 0 to {classes - 1} for {classes} classes.")
        rows = np.resize(np.arange(len(images)), max(len(images), size or 0))
        batch = min(batch_size, len(rows))
        if batch not in compiled:
            options: dict[str, Any] = {"batch_size": batch, "steps_per_call": min(steps, 1000), "mode": "jit"}
            compiled[batch] = compile_steps(loss, optimizer, lambda key, example: example, **options)
        data = Labelled(as_input(images)[rows], labels[rows])
        key_init, key_run = jax.random.split(jax.random.key(as_seed("seed", seed)))
        variables = jax.jit(network.init)(key_init, data.value[0]) if start is None else start
        refuse_state({"network": variables})
        size_of = jax.eval_shape(network.apply, variables, data.value[0]).shape[0]
        params: Params = {
            "network": variables,
            "weights": jnp.zeros((size_of, classes), jnp.float32),
            "bias": jnp.zeros(classes, jnp.float32),
        }
        state = TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), key_run, None)
        for report in train(compiled[batch], state, data, steps):
            state = report.state
        return jax.device_get(state.params)

    return trainer


def _logits(network: Network, params: Params, x: Array) -> Array:
    return jax.vmap(network.apply, (None, 0))(params["network"], x) @ params["weights"] + params["bias"][None]


def classifier_of(network: Network, params: Params, images: np.ndarray, labels: np.ndarray) -> Classifier:
    """The classifier of trained parameters, judged by held-out images and labels.

    Example:
        >>> network, x = MLPDeterministicEncoder(4, ()), np.zeros((6, 2, 2, 1), np.float32)
        >>> params = {"network": network.init(jax.random.key(0), x[0]), "weights": jnp.zeros((4, 3))}
        >>> params["bias"] = jnp.array([0.0, 1.0, 0.0])
        >>> classifier_of(network, params, x, np.ones(6, int)).accuracy.mean
        1.0
    """
    last_layer = jax.jit(lambda index, x: jax.vmap(network.apply, (None, 0))(params["network"], x))
    softmax = jax.jit(lambda index, x: jax.nn.softmax(_logits(network, params, x)))

    def features(x: np.ndarray) -> np.ndarray:
        return map_batches(last_layer, as_input(x), batch_size=500)

    def probabilities(x: np.ndarray) -> np.ndarray:
        return map_batches(softmax, as_input(x), batch_size=500)

    return Classifier(features, probabilities, accuracy(probabilities(images).argmax(1), labels), params)


def classifier_features(classifier: Classifier, name: str) -> Features:
    """The layer before the logits as features, and its softmax for the Inception Score; the accuracy goes with them.

    Args:
        classifier: from `train_classifier`.
        name: such as "classifier of digits, 64 units".

    Example:
        >>> classifier = Classifier(lambda x: x, lambda x: x, Estimate(0.97, 0.01, 297), {})
        >>> classifier_features(classifier, "classifier of digits").note
        'held-out accuracy 97.0 +- 1.0 %'
    """
    mean, error, _ = classifier.accuracy
    note = f"held-out accuracy {100 * mean:.1f} +- {100 * error:.1f} %"
    return Features(name, classifier.features, classifier.probabilities, note)
