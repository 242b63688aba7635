"""Attributes as directions in the code space: find one, move along it, calculate with codes.

    direction = attribute_vector(codes, labels == 8)
    images = resynthesize(model, params, x, lambda z: traverse_attribute(z, direction, [0, 0.5, 1]))

Codes are arrays [N, Z], as `posterior_means` returns them; all of these are in `jaxvae.evaluation.latents`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxvae.checks import finite_number
from jaxvae.evaluation.latents.codes import check_latent
from jaxvae.evaluation.statistics import check_magnitude

Array = jax.Array
Codes = Array | np.ndarray
Flags = Sequence[bool] | np.ndarray


def attribute_vector(codes: Codes, present: Flags) -> np.ndarray:
    """From the examples without an attribute to those with it: mean(z | present) - mean(z | absent), [Z].

    Adding it to a code takes the mean of the ones to the mean of the others. It also carries whatever else differs
    between the two groups; `logistic_attribute_vector` carries less of that.

    Args:
        codes: [N, Z], the posterior means of N examples.
        present: [N] booleans, whether each has the attribute.

    Raises:
        ValueError: for other shapes, codes that are not finite, or an attribute that all examples have, or none.
        TypeError: if present is not boolean.

    Source: Larsen et al., 2016, arXiv 1512.09300.

    Example:
        >>> attribute_vector(np.array([[0.0, 0.0], [2.0, 1.0], [4.0, 1.0]]), np.array([False, True, True]))
        array([3., 1.], dtype=float32)
    """
    codes, present = _checked(codes, present)
    return (codes[present].mean(0) - codes[~present].mean(0)).astype(np.float32)


def logistic_attribute_vector(codes: Codes, present: Flags, *, regularization: float = 1e-2) -> np.ndarray:
    """The normal of the best dividing plane, as long as the two means are apart along it: (u . d) u, [Z].

    u = w / |w| of the logistic regression p(present | z) = sigmoid(w . z + b), d the `attribute_vector`. A strength of
    1 therefore crosses the plane as far as there, but latents that do not help to tell the groups apart stay.

    Args:
        codes: [N, Z].
        present: [N] booleans.
        regularization: weight of |w|^2 / 2 against the mean loss of an example in nats.

    Raises:
        ValueError, TypeError: as `attribute_vector`, or for a regularization that is not positive.

    Source: Denton et al., 2019, arXiv 1906.06439, who take the normal of a linear classifier.

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(200, 2))
        >>> direction = logistic_attribute_vector(codes, codes[:, 0] > 0)
        >>> bool(abs(direction[0]) > 5 * abs(direction[1]))
        True
    """
    from sklearn.linear_model import LogisticRegression

    finite_number("regularization", regularization, above=True)
    codes, present = _checked(codes, present)
    probe = LogisticRegression(C=1 / (regularization * len(codes)), max_iter=1000).fit(codes, present)
    w = np.asarray(probe.coef_[0], np.float64)
    d = codes[present].mean(0) - codes[~present].mean(0)
    return (w * (w @ d) / max(float(w @ w), np.finfo(np.float64).tiny)).astype(np.float32)


def class_attribute_vector(codes: Codes, labels: Codes, source: Any, target: Any) -> np.ndarray:
    """From one class to another: mean(z | target) - mean(z | source), [Z]; other classes have no say.

    Raises:
        ValueError: for other shapes, the same class twice, or a class without examples (the message lists those).

    Example:
        >>> class_attribute_vector(np.array([[0.0], [1.0], [5.0]]), np.array([3, 8, 7]), source=3, target=8)
        array([1.], dtype=float32)
    """
    labels = np.asarray(labels)
    for name, value in (("source", source), ("target", target)):
        if not (labels == value).any():
            raise ValueError(f"{name} is {value!r}, expected one of the classes {np.unique(labels).tolist()}.")
    if source == target:
        raise ValueError(f"source and target are both {source!r}, expected two classes.")
    if labels.ndim != 1 or len(labels) != len(codes):
        raise ValueError(f"labels has shape {labels.shape}, expected ({len(codes)},), one for each code.")
    either = (labels == source) | (labels == target)
    return attribute_vector(np.asarray(codes)[either], labels[either] == target)


def traverse_attribute(codes: Codes, direction: Codes, strengths: Sequence[float] | np.ndarray) -> np.ndarray:
    """Each code moved along a direction by each of S strengths: z + s d, [N, Z] -> [N, S, Z].

    Args:
        codes: [N, Z].
        direction: [Z].
        strengths: [S]; 0 leaves a code as it is, 1 adds the whole direction, -1 takes it away.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> traverse_attribute(np.zeros((1, 2)), np.array([1.0, 3.0]), [0, 2]).tolist()
        [[[0.0, 0.0], [2.0, 6.0]]]
    """
    codes, direction = np.asarray(codes, np.float32), np.asarray(direction, np.float32)
    steps = np.asarray(strengths, np.float32)
    if codes.ndim != 2 or direction.shape != codes.shape[1:]:
        raise ValueError(
            f"codes has shape {codes.shape} and direction {direction.shape}, expected (N, Z) and (Z,). For one code "
            f"pass codes[None]."
        )
    if steps.ndim != 1 or steps.size == 0:
        raise ValueError(f"strengths has shape {steps.shape}, expected a list of numbers, such as [0, 0.5, 1].")
    return codes[:, None] + steps[None, :, None] * direction[None, None]


def arithmetic(a: Codes, b: Codes, c: Codes) -> np.ndarray:
    """a - b + c on codes of one shape: what a has and b lacks, added to c ("smiling woman" - "woman" + "man").

    Means of several examples serve better than the code of a single one.

    Raises:
        ValueError: for codes of different shapes.

    Source: Radford, Metz and Chintala, 2016, arXiv 1511.06434, section 6.3.2.

    Example:
        >>> arithmetic(np.array([3.0, 1.0]), np.array([3.0, 0.0]), np.array([-2.0, 0.0])).tolist()
        [-2.0, 1.0]
    """
    parts = [np.asarray(part, np.float32) for part in (a, b, c)]
    if len({part.shape for part in parts}) != 1:
        raise ValueError(f"a, b and c have shapes {[part.shape for part in parts]}, expected codes of one shape.")
    return parts[0] - parts[1] + parts[2]


def set_latents(codes: Codes, values: Mapping[int, float]) -> np.ndarray:
    """Codes [N, Z] with some latents set, {latent: value}, and the others as they were.

    Raises:
        ValueError: for codes of another shape, or a latent that does not exist.

    Example:
        >>> set_latents(np.zeros((1, 3)), {0: 2.0, 2: -1.0}).tolist()
        [[2.0, 0.0, -1.0]]
    """
    changed = np.array(codes, np.float32)
    if changed.ndim != 2:
        raise ValueError(f"codes has shape {changed.shape}, expected (N, Z). For one code pass codes[None].")
    for latent, value in values.items():
        changed[:, check_latent(latent, changed.shape[1])] = value
    return changed


def _checked(codes: Codes, present: Flags) -> tuple[np.ndarray, np.ndarray]:
    points, flags = np.asarray(codes, np.float64), np.asarray(present)
    if flags.dtype != np.bool_:
        raise TypeError(f"present has dtype {flags.dtype}, expected booleans, such as labels == 8.")
    if points.ndim != 2 or flags.shape != points.shape[:1]:
        raise ValueError(f"codes has shape {points.shape} and present {flags.shape}, expected (N, Z) and (N,).")
    check_magnitude("codes", points)
    if flags.all() or not flags.any():
        raise ValueError(
            f"{int(flags.sum())} of {len(flags)} examples have the attribute, expected some with it and some without."
        )
    return points, flags
