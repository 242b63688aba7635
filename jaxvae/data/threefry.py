"""Many random words from one key, in one pass."""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry_words(key: Array, count: int) -> Array:
    """Random words, uint32 [count, 2], the key data of `jax.random.split(key, count)`; the key is consumed.

    Word pair i is the Threefry cipher of (0, i). Its rounds are written out, so that they are one pass over the words:
    on a CPU JAX runs them in a loop, with several passes in each of its turns.

    Args:
        key: one threefry key; of other keys the data is no cipher key.
        count: how many pairs.

    Source: Salmon, Moraes, Dror and Shaw, 2011, Parallel random numbers: as easy as 1, 2, 3.

    Example:
        >>> key = jax.random.key(0)
        >>> bool((threefry_words(key, 3) == jax.random.key_data(jax.random.split(key, 3))).all())
        True
    """
    first, second = jax.random.key_data(key)
    return jnp.stack(threefry(first, second, jnp.zeros(count, jnp.uint32), jnp.arange(count, dtype=jnp.uint32)), axis=1)


@jax.jit
def threefry(key_0: Array, key_1: Array, x_0: Array, x_1: Array) -> tuple[Array, Array]:
    """The cipher itself, twenty rounds on two words: key [], [] and counters [...], [...], all uint32.

    Example:
        >>> word = jnp.uint32(0)
        >>> [hex(int(x)) for x in threefry(word, word, word, word)]
        ['0x6b200159', '0x99ba4efe']
    """
    keys = (key_0, key_1, key_0 ^ key_1 ^ np.uint32(0x1BD11BDA))
    x_0, x_1 = x_0 + keys[0], x_1 + keys[1]
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            x_0 = x_0 + x_1
            x_1 = (x_1 << np.uint32(rotation) | x_1 >> np.uint32(32 - rotation)) ^ x_0
        x_0, x_1 = x_0 + keys[(block + 1) % 3], x_1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x_0, x_1
