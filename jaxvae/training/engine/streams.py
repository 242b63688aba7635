"""The named streams of random numbers: which number is folded into which key, and for what.

    run's key   ORDER        epoch             the order of the examples, or their draws
                NOISE        step   example    what a loss is given, a key for each example
                PREPROCESS   step   example    what makes x of raw pixels
    a loss's keys, of the first example:
                SHARED                         what the whole batch shares: draws of the prior, permutations
                RESTART                        the encodings that dead codes of a codebook are given
                TIMES                          the offset that a diffusion's times have in common
    a loss's keys, of each example:
                OUTLIER                        the outlier it is compared with
                HIDDEN                         whether its label is shown as unknown
                NETWORKS     network           what a network draws, as dropout does (`randomness.py`)

All is a function of (run's key, step, index in the whole batch) alone: a resumed run is the same run, and one device
computes what many do. The numbers stay what they are, or runs on disk would go on as others.
"""

import jax
import jax.numpy as jnp

Array = jax.Array
Key = jax.Array

# Folded into the run's key.
ORDER, NOISE, PREPROCESS = 0, 1, 2
# Folded into an example's key, far from the small numbers that a loss may fold in itself; 2**31 - 4 is NETWORKS.
SHARED, RESTART, OUTLIER = 2**31 - 1, 2**31 - 2, 2**31 - 3
TIMES, HIDDEN = 2**31 - 5, 2**31 - 6


def epoch_key(key: Key, epoch: Array) -> Key:
    """The key of an epoch's order: a function of (run's key, epoch) alone."""
    return jax.random.fold_in(jax.random.fold_in(key, ORDER), epoch)


def example_keys(key: Key, stream: int, step: Array, size: int, offset: Array | int = 0) -> Key:
    """Keys [size], one for each example: a function of (key, stream, step, index in the whole batch) alone.

    Example:
        >>> keys = example_keys(jax.random.key(0), NOISE, 3, 4)
        >>> half = example_keys(jax.random.key(0), NOISE, 3, 2, offset=2)
        >>> bool((keys[2:] == half).all())
        True
    """
    step_key = jax.random.fold_in(jax.random.fold_in(key, stream), step)
    return jax.vmap(jax.random.fold_in, (None, 0))(step_key, offset + jnp.arange(size))
