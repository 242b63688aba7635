"""Networks of other libraries behind the two functions the models ask for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class FromNnx(NamedTuple):
    """What `from_nnx` returns: a network with `.init` and `.apply`."""

    init: Callable[..., dict[str, Any]]
    apply: Callable[..., Any]


def from_nnx(constructor: Callable[..., Any]) -> FromNnx:
    """A Flax nnx module as a network: `encoder = from_nnx(lambda rngs: MyEncoder(rngs=rngs))`.

    Its parameters become a plain dict of arrays with string keys; other state, such as batch statistics, is refused,
    because a model here has none.

    Args:
        constructor: (rngs) -> module, callable on one example.

    Raises:
        ValueError: if the module holds state beside its parameters.

    Example:
        >>> from flax import nnx
        >>> network = from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs))
        >>> variables = network.init(jax.random.key(0), jax.numpy.ones(4))
        >>> sorted(variables), network.apply(variables, jax.numpy.ones(4)).shape
        (['bias', 'kernel'], (2,))
    """
    from flax import nnx

    def build(key: Any) -> tuple[Any, Any]:
        parts: tuple[Any, ...] = nnx.split(constructor(nnx.Rngs(key)), nnx.Param, True)
        definition, params, rest = parts
        extra = [".".join(map(str, path)) for path, _ in nnx.to_flat_state(rest)]
        if extra:
            raise ValueError(
                f"the nnx module holds state beside its parameters: {', '.join(extra[:5])}. Use layers without it, "
                f"such as LayerNorm or GroupNorm, and no dropout."
            )
        return definition, params

    def init(key: Any, *inputs: Any) -> dict[str, Any]:
        return _text_keys(nnx.to_pure_dict(build(key)[1]))

    def apply(variables: dict[str, Any], *inputs: Any) -> Any:
        # The structure costs no arrays: it is traced, never computed.
        definition, params = nnx.eval_shape(lambda: build(jax.random.key(0)))
        nnx.replace_by_pure_dict(params, nnx.statelib.restore_int_paths(variables))
        return nnx.merge(definition, params)(*inputs)

    return FromNnx(init, apply)


def _text_keys(tree: Any) -> Any:
    return {str(key): _text_keys(value) for key, value in tree.items()} if isinstance(tree, dict) else tree
