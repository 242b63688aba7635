"""One known factor of a code changed to each of its values, the others left as they are."""

import numpy as np


def factor_codes(codes: np.ndarray, values: np.ndarray, z: np.ndarray, own: int) -> tuple[np.ndarray, np.ndarray]:
    """z + mean(codes | v) - mean(codes | own) for each value v of a factor: its values [V] and such codes [V, Z].

    Where factors are independent, the difference of two means says what the factor alone does to codes on average: a
    code that it moves the same way whatever the others are becomes that of the other value.

    Args:
        codes: [N, Z], the posterior means of N examples.
        values: [N] integers, the factor of each.
        z: [Z], the code to change.
        own: the value that z has.

    Raises:
        ValueError: for other shapes, or a value of z's own that no example has.

    Source: the directions are those of Larsen et al., 2016, arXiv 1512.09300, a class at a time.

    Example:
        >>> codes, values = np.array([[0.0, 5.0], [2.0, 5.0], [1.0, 7.0]]), np.array([0, 0, 1])
        >>> factor_codes(codes, values, np.array([0.0, 0.0]), own=0)[1].tolist()
        [[0.0, 0.0], [0.0, 2.0]]
    """
    codes, values, z = (np.asarray(array) for array in (codes, values, z))
    if codes.ndim != 2 or values.shape != codes.shape[:1] or z.shape != codes.shape[1:]:
        raise ValueError(
            f"codes have shape {codes.shape}, values {values.shape} and z {z.shape}, expected (N, Z), (N,) and (Z,)."
        )
    known = np.unique(values)
    if own not in known:
        raise ValueError(f"own is {own}, expected one of the values of the factor, {known.tolist()}.")
    means = np.stack([codes[values == value].mean(0) for value in known])
    return known, (z[None] + means - means[known == own]).astype(np.float32)
