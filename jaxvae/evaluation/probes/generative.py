"""A classifier by Bayes' rule, from a model of the examples of each class: it also knows what it has never seen.

log p(y | x) = log p(x | y) + log p(y) - log p(x),    p(x) = sum_y p(x | y) p(y)
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.special import logsumexp

from jaxvae.evaluation.bounds.likelihood import per_example, tightest
from jaxvae.models.contexts import Labelled, count_examples
from jaxvae.models.records import Key, Model, Params, as_model

Array = jax.Array


class GenerativeClassifier(NamedTuple):
    """What a model of each class says of examples.

    Attributes:
        log_joint: [N, C] nats, log p(x, y).
        evidence: "exact", or "bound" where each log p(x | y) is one, and the posterior only an approximation.
    """

    log_joint: np.ndarray
    evidence: str

    @property
    def log_p(self) -> np.ndarray:
        """[N] nats, log p(x): low for an example that is like none of any class, whatever its most likely class."""
        found: np.ndarray = logsumexp(self.log_joint, axis=1)
        return found

    @property
    def log_posterior(self) -> np.ndarray:
        """[N, C] log p(y | x)."""
        return self.log_joint - self.log_p[:, None]

    @property
    def predictions(self) -> np.ndarray:
        """[N] the most likely class."""
        return self.log_joint.argmax(1)


def generative_classifier(
    model: Model, params: Params, key: Key, x: Any, *, log_prior: Any = None, samples: int = 1
) -> GenerativeClassifier:
    """log p(x, y) of every example under every class.

    Args:
        model: one that is told the class, such as a run of --model.kind class_pixel_cnn or conditional.
        key: of the posterior draws, where the model has latents; the same for every class.
        x: [N, *event_shape], without labels.
        log_prior: [C], log p(y); by default all classes are as likely.
        samples: posterior samples of an importance-weighted bound, where the model has latents.

    Raises:
        ValueError: for a model that takes no classes, or examples without one too (semi-supervised), or says nothing
            of p(x), and a log_prior that is none.

    Source: Ng and Jordan, 2001, On discriminative vs. generative classifiers.

    Example:
        >>> from jaxvae.models.densities import autoregressive, density_model
        >>> from jaxvae.networks.causal import gated_pixel_cnn
        >>> p = autoregressive(gated_pixel_cnn((3, 3, 1), features=4, layers=2))
        >>> model = density_model(p, event_shape=(3, 3, 1), context=2)
        >>> x = np.ones((5, 3, 3, 1), np.float32)
        >>> params = model.init(jax.random.key(0), Labelled(x[0], np.int32(0)))
        >>> found = generative_classifier(model, params, jax.random.key(1), x)
        >>> found.log_posterior.shape, found.evidence, bool(np.allclose(np.exp(found.log_posterior).sum(1), 1.0))
        ((5, 2), 'exact', True)
    """
    context = as_model("model", model).context
    classes = None if context is None else context.classes
    if not classes:
        raise ValueError("the model takes no class, expected one that is told it, such as --model.kind conditional.")
    if context is not None and context.optional:
        raise ValueError(
            "the model takes examples without a class too, and what it says of one with a class is log p(x, y), prior "
            "included: expected a model of p(x | y). Ask its own classifier, jaxvae.evaluation.probes."
            "class_probabilities."
        )
    if isinstance(x, Labelled):
        raise ValueError("x is Labelled, expected the examples alone: the class is what is asked. Pass x.value.")
    prior = np.full(classes, -np.log(classes)) if log_prior is None else np.asarray(log_prior, np.float64)
    if prior.shape != (classes,) or abs(logsumexp(prior)) > 1e-3:
        raise ValueError(
            f"log_prior is {prior!r:.100}, expected [{classes}] logarithms of probabilities that sum to one."
        )
    columns = []
    for label in range(classes):
        given: Any = Labelled(x, np.full(count_examples(x), label, np.int32))
        values = tightest(per_example(model, params, key, given, samples=samples))
        if values is None:
            raise ValueError(
                f"the evidence of this model is {model.evidence!r}, expected one that says something of log p(x)."
            )
        columns.append(np.asarray(values, np.float64) + prior[label])
    return GenerativeClassifier(np.stack(columns, axis=1), "exact" if model.evidence == "exact" else "bound")
