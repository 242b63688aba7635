"""The runs of `experiments.debiasing`: images with a small group, one model, and how well it reads each group."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxvae.commands.cli import Workdir
from jaxvae.runs.configs.options import Index

GROUPS = ("inverted", "rotated", "class")
PROBES = ("joint", "linear")
WAYS = {"plain": "plain", "rarity": "by rarity", "answers": "by rarity of answers", "labels": "by label"}


@dataclass(frozen=True)
class DebiasingOptions:
    """Trains a VAE with a classifier on its code, drawing plainly and by rarity, and compares groups of test images."""

    data: str = "mnist"  # mnist, fashion_mnist or digits.
    group: str = "inverted"  # The small group: images inverted, rotated by a quarter turn, or a class (of --digit).
    digit: Index = 8  # The class that is cut, of --group class.
    ways: tuple[str, ...] = ("plain", "rarity")  # plain, by rarity of codes, of the classifier's answers, by labels.
    probe: str = "joint"  # joint: a classifier trained with the VAE; linear: on the codes of a VAE trained alone.
    share: float = 0.02  # Of the training images that are in the small group.
    train: int = 5000  # Training images.
    test: int = 2000  # Test images, half of them of the small group where that is not a class.
    epochs: int = 8  # As many draws as there are training images, each.
    seeds: int = 3  # Runs of each kind, with other weights, images and draws.
    latent_dim: int = 8  # Length of the code.
    hidden: int = 256  # Width of the hidden layer on either side.
    weight: float = 50.0  # Of the classifier's cross-entropy against the bound.
    alpha: float = 0.01  # Of the rarity: large is plain, small extreme.
    at_least: float = 0.2  # Alpha is raised until the draws are worth this share of the training images.
    bins: int = 10  # Of each latent's histogram.
    combine: str = "product"  # product or maximum over latents.
    workdir: Workdir = "runs/debiasing"  # Where the table and the pictures go.
    progress: bool = True  # Show progress bars.


def check(options: DebiasingOptions) -> None:
    """Raises `ValueError` for what cannot be, before anything is trained."""
    import numpy as np

    from jaxvae.checks import finite_number, positive_integer
    from jaxvae.evaluation.latents.rarity import resampling_weights
    from jaxvae.runs.configs.names import unknown

    for name, value, valid in (("group", options.group, GROUPS), ("probe", options.probe, PROBES)):
        if value not in valid:
            raise ValueError(unknown(name, value, valid))
    for way in options.ways:
        if way not in WAYS:
            raise ValueError(unknown("way", way, tuple(WAYS)))
    if "plain" not in options.ways or len(set(options.ways)) < max(2, len(options.ways)):
        raise ValueError(f"ways is {' '.join(options.ways)}, expected plain and others, each once: plain rarity.")
    if options.probe == "linear" and set(options.ways) - {"plain", "rarity"}:
        raise ValueError("probe is 'linear', which trains a VAE without labels: expected --ways plain rarity.")
    finite_number("share", options.share, high=0.5, above=True)
    positive_integer("seeds", options.seeds, 2)
    resampling_weights(np.zeros((2, 1)), **rule_of(options))


def split(options: DebiasingOptions, name: str, seed: int) -> tuple[Any, Any, Any]:
    """(images, labels, in the small group [N]) of a split; the group is a random share of them, changed in place.

    A class is cut to its share in training alone; the test images are as they come.
    """
    import numpy as np

    import jaxvae

    data = jaxvae.data.load(options.data, name)
    if data.labels is None:
        raise ValueError(f"data {options.data!r} has no labels, expected mnist, fashion_mnist or digits.")
    order = np.random.default_rng(seed).permutation(len(data.images))
    if options.group == "class":
        labels = np.asarray(data.labels[order])
        if options.digit not in labels:
            raise ValueError(f"digit is {options.digit}, expected a class of {options.data}: 0 to {labels.max()}.")
        chosen = order[: options.test] if name == "test" else order[cut(labels == options.digit, options)]
        labels = np.asarray(data.labels[chosen])
        return np.array(data.images[chosen]), labels, labels == options.digit
    chosen = order[: options.train if name == "train" else options.test]
    images, labels = np.array(data.images[chosen]), np.asarray(data.labels[chosen])
    count = max(1, round((options.share if name == "train" else 0.5) * len(images)))
    group = np.arange(len(images)) < count  # they are in random order
    images[group] = 255 - images[group] if options.group == "inverted" else np.rot90(images[group], axes=(1, 2))
    return images, labels, group


def cut(of_class: Any, options: DebiasingOptions) -> Any:
    """Rows of the training set: the first of the class, as many as its share of all, and the first of the others."""
    import numpy as np

    own, others = np.flatnonzero(of_class), np.flatnonzero(~of_class)
    size = min(options.train, int(len(others) / (1 - options.share)), int(len(own) / options.share))
    count = max(1, round(options.share * size))
    return np.sort(np.concatenate([own[:count], others[: size - count]]))


def one_run(
    options: DebiasingOptions, images: Any, labels: Any, group: Any, seed: int, way: str
) -> tuple[dict[str, float], Any]:
    """Accuracies of one model on the test images, and the weights [N] of the training images at its end."""
    import numpy as np

    import jaxvae
    from jaxvae.evaluation.latents.codes import encode
    from jaxvae.evaluation.latents.rarity import effective_examples
    from jaxvae.evaluation.probes.groups import group_accuracy, predict
    from jaxvae.evaluation.probes.probes import linear_predictions
    from jaxvae.training.engine.parallel import batch_of
    from jaxvae.training.losses.supervised import supervised_loss

    joint, scaled = options.probe == "joint", images.astype(np.float32) / 255
    model, classifier = make_model(options, images.shape[1:], int(labels.max()) + 1)
    weights = make_weights(options, way, model, classifier, scaled, labels)
    params, history = jaxvae.fit(
        model,
        images,
        labels=labels if joint else None,
        weights=None if way == "plain" else weights,
        protocol="grey",
        loss=supervised_loss(model, classifier, weight=options.weight) if joint else None,
        epochs=options.epochs,
        batch_size=batch_of(100, len(images)),
        seed=seed,
        progress=options.progress,
    )
    tests, truth, small = split(options, "test", seed)
    x = tests.astype(np.float32) / 255
    if joint:
        named = predict(model, classifier, params, x)
    else:
        codes = [np.asarray(encode(model, params, each).mean) for each in (scaled, x)]
        named = linear_predictions((codes[0], labels), codes[1])
    by_group = group_accuracy(named == truth, small)
    drawn = weights(params)
    found = {
        "large": by_group.accuracy[0],
        "small": by_group.accuracy[1],
        "worst": group_accuracy(named == truth, truth if options.group == "class" else small).accuracy.min(),
        "drawn": drawn[group].sum(),
        "effective": effective_examples(drawn),
        "elbo": history[-1]["elbo"],
    }
    return {name: float(value) for name, value in found.items()}, drawn


def make_model(options: DebiasingOptions, shape: tuple[int, ...], classes: int) -> tuple[Any, Any]:
    """(model, classifier of its codes); trained jointly, the model's parameters hold the classifier's."""
    import jaxvae
    from jaxvae.models.players.critic import with_critic

    classifier, hidden = jaxvae.networks.MLPClassifier(classes, (64,)), (options.hidden,)
    encoder, decoder = jaxvae.MLPEncoder(options.latent_dim, hidden), jaxvae.MLPDecoder(shape, hidden=hidden)
    model = jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=options.latent_dim)
    return (with_critic(model, classifier, name="classifier") if options.probe == "joint" else model), classifier


def make_weights(
    options: DebiasingOptions, way: str, model: Any, classifier: Any, x: Any, labels: Any
) -> Callable[[Any], Any]:
    """params -> the probability [N] of each training image to be drawn."""
    import numpy as np

    from jaxvae.evaluation.latents.rarity import latent_resampler, resampling_weights
    from jaxvae.evaluation.probes.groups import class_probabilities

    fixed = 1 / np.bincount(labels)[labels] if way == "labels" else np.ones(len(x))
    if way == "rarity":
        return latent_resampler(model, x, **rule_of(options))
    if way == "answers":
        return lambda params: resampling_weights(class_probabilities(model, classifier, params, x), **rule_of(options))
    return lambda params: fixed / fixed.sum()


def rule_of(options: DebiasingOptions) -> dict[str, Any]:
    """What the options say about `resampling_weights`."""
    return {name: getattr(options, name) for name in ("bins", "alpha", "combine", "at_least")}
