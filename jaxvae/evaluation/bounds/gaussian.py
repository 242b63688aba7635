"""Missing numbers filled in by one Gaussian of all of them: what a model has to beat."""

import numpy as np


def impute_gaussian(train: np.ndarray, x: np.ndarray, observed: np.ndarray, *, ridge: float = 1e-3) -> np.ndarray:
    """E[x_missing | x_observed] under one Gaussian fitted to the training examples: the best linear guess.

    mean_m + C_mo C_oo^-1 (x_o - mean_o), with C the covariance of the training examples + ridge I

    Args:
        train: [M, ...] complete examples.
        x: [N, ...] whose missing numbers may hold anything; observed: [N, ...] booleans, true where x is known.
        ridge: added to every variance, for pixels that never change.

    Returns:
        float64 [N, ...]; observed numbers are as they were given.

    Raises:
        ValueError: for shapes that differ.

    Example:
        >>> train = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
        >>> impute_gaussian(train, np.array([[3.0, 0.0]]), np.array([[True, False]]), ridge=0.0).tolist()
        [[3.0, 6.0]]
    """
    if x.shape != observed.shape or train.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"train has shape {train.shape}, x {x.shape} and observed {observed.shape}, expected (M, ...), (N, ...) "
            f"and (N, ...) of the same examples."
        )
    flat = train.reshape(len(train), -1).astype(np.float64)
    mean, cov = flat.mean(0), np.cov(flat.T) + ridge * np.eye(flat.shape[1])
    guesses = x.reshape(len(x), -1).astype(np.float64)
    for row, seen in zip(guesses, observed.reshape(len(x), -1), strict=True):
        gain = np.linalg.solve(cov[np.ix_(seen, seen)], row[seen] - mean[seen])
        row[~seen] = mean[~seen] + cov[np.ix_(~seen, seen)] @ gain
    return guesses.reshape(x.shape)
