"""The stack of an entropy coder: what is pushed last is popped first, so popping from random bits draws a sample.

Asymmetric numeral systems (Duda, 2009, arXiv 0902.0271), as the library constriction has them: probabilities are
rounded to multiples of 2^-24, none to 0, and a symbol of probability p takes -log2 p bits.
"""

from typing import Any

import numpy as np

WORD = 32  # bits
SPARE = 3  # words below which a pop could find the stack empty, and what it pops would not come back


def coding_library() -> Any:
    """The module constriction; raises `NotImplementedError` naming the extra that installs it.

    Example:
        >>> coding_library().__name__
        'constriction'
    """
    try:
        import constriction
    except ImportError as error:
        raise NotImplementedError(
            "compression needs constriction, which is not installed. Run pip install 'jaxvae[compress]'."
        ) from error
    return constriction


class Stack:
    """A stack of symbols, each pushed or popped with a row of probabilities; both sides must give the same rows.

    Attributes:
        lowest: the fewest words it has held after a pop, at most those it began with.

    Example:
        >>> stack = Stack(np.array([5, 7, 9, 11], np.uint32))
        >>> stack.push(np.array([0, 2]), np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
        >>> stack.pop(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])).tolist()
        [0, 2]
        >>> stack.words().tolist()
        [5, 7, 9, 11]
    """

    def __init__(self, words: np.ndarray | None = None) -> None:
        library = coding_library()
        given = np.zeros(0, np.uint32) if words is None else np.ascontiguousarray(words, np.uint32)
        self._coder = library.stream.stack.AnsCoder(given) if len(given) else library.stream.stack.AnsCoder()
        self._rows = library.stream.model.Categorical(perfect=False)
        self._even = library.stream.model.Uniform
        self.lowest = len(given)

    def push(self, symbols: np.ndarray, p: np.ndarray) -> None:
        """Symbols [n] with their probabilities [n, L]."""
        self._coder.encode_reverse(np.ascontiguousarray(symbols, np.int32), self._rows, _finite(p))

    def pop(self, p: np.ndarray) -> np.ndarray:
        """The n symbols that were pushed with the probabilities [n, L], or a draw from them."""
        found: np.ndarray = self._coder.decode(self._rows, _finite(p))
        self.lowest = min(self.lowest, self._coder.num_words())
        return found

    def push_even(self, symbols: np.ndarray, count: int) -> None:
        """Symbols [n], all `count` of them equally likely."""
        self._coder.encode_reverse(np.ascontiguousarray(symbols, np.int32), self._even(count))

    def pop_even(self, size: int, count: int) -> np.ndarray:
        """So many symbols that were pushed as equally likely."""
        found: np.ndarray = self._coder.decode(self._even(count), size)
        self.lowest = min(self.lowest, self._coder.num_words())
        return found

    def words(self) -> np.ndarray:
        """All that the stack holds, uint32, the top last."""
        found: np.ndarray = self._coder.get_compressed()
        return found


def _finite(p: np.ndarray) -> np.ndarray:
    if not np.isfinite(p).all():
        raise FloatingPointError("the model gives probabilities that are not finite: look at its parameters.")
    return np.ascontiguousarray(p)


def random_words(count: int) -> np.ndarray:
    """Words to start from, which stand for something else that is to be sent; of more, the top ones are the same.

    Example:
        >>> random_words(3).dtype, (random_words(5)[2:] == random_words(3)).tolist()
        (dtype('uint32'), [True, True, True])
    """
    words = (np.random.Philox(key=0).random_raw(count) & 0xFFFFFFFF).astype(np.uint32)[::-1].copy()
    words[-1:] |= np.uint32(2**31)  # the top word of a stack is not 0
    return words
