"""What a causal network is: outputs of all elements at once, and of one after the other."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Key = jax.Array
Params = Any
Pick = Callable[[Array, Array], tuple[Array, Any]]


class CausalNetwork(NamedTuple):
    """A network on an event u [*event_shape] of numbers near [-1, 1]; elements are ordered as `u.ravel()` has them.

    Attributes:
        init: (key, u, context) -> variables.
        apply: (variables, u, context) -> [*event_shape, size]; the output of an element depends on the elements before
            it and the context only. The context is None, a vector [Z] or, of pictures, a map [H, W, Z].
        visit: (variables, pick, context) -> every y, stacked [*event_shape, ...]. Elements are visited in their order:
            pick(index [], output [size]) -> (u [], y) is asked for each, given its output, and what it answers for u is
            what later outputs see. It computes only what is new.
        event_shape: of u.
        size: numbers in the output of an element.
    """

    init: Callable[[Key, Array, Any], Params]
    apply: Callable[[Params, Array, Any], Array]
    visit: Callable[[Params, Pick, Any], Any]
    event_shape: tuple[int, ...]
    size: int


def checked(network: CausalNetwork, kernel: Callable[[Params], Any]) -> CausalNetwork:
    """The same network, which refuses other events than its own, and contexts other than that its variables know.

    Without it a network that was told a label would score as though nobody had told it anything, in silence.

    Args:
        network: whose variables are {"params": ...}.
        kernel: (params) -> what a context of length Z is multiplied by, [Z, ...], or None where it takes none.
    """

    def check(variables: Params, context: Any) -> None:
        held = kernel(variables["params"])
        known, given = None if held is None else held.shape[0], None if context is None else jnp.shape(context)[-1]
        if known != given:
            raise ValueError(
                f"the context is {_length(given)}, expected {_length(known)}, as the variables were made for. Pass the "
                f"context that init saw; for a batch use jax.vmap."
            )

    def check_event(u: Array) -> None:
        if jnp.shape(u) != network.event_shape:
            raise ValueError(
                f"u has shape {jnp.shape(u)}, expected the event {network.event_shape} whose elements the network "
                f"orders; for a batch use jax.vmap."
            )

    def init(key: Key, u: Array, context: Any = None) -> Params:
        check_event(u)
        return network.init(key, u, context)

    def apply(variables: Params, u: Array, context: Any = None) -> Array:
        check_event(u)
        check(variables, context)
        return network.apply(variables, u, context)

    def visit(variables: Params, pick: Pick, context: Any = None) -> Any:
        check(variables, context)

        def pick_in_precision(index: Array, output: Array) -> tuple[Array, Any]:
            value, y = pick(index, output)
            return jnp.asarray(value, _precision(variables)), y

        return network.visit(variables, pick_in_precision, context)

    return network._replace(init=init, apply=apply, visit=visit)


def nothing(params: Params, *shape: int) -> Array:
    """Zeros in the precision of the weights, which may not be the widest that is enabled: what a visit begins with.

    Example:
        >>> nothing({"bias": jnp.zeros(2, jnp.float16)}, 3).dtype
        dtype('float16')
    """
    return jnp.zeros(shape, _precision(params))


def _precision(params: Params) -> Any:
    leaves = jax.tree.leaves(params)
    return jnp.result_type(*leaves) if leaves else jnp.float32


def _length(count: int | None) -> str:
    return "None" if count is None else f"one of length {count}"


def visit_by_passes(
    apply: Callable[[Params, Array, Any], Array], params: Params, pick: Pick, context: Any, event_shape: tuple[int, ...]
) -> Any:
    """The visit of a network that keeps nothing: one pass of the whole network for each element.

    Example:
        >>> sums = lambda params, u, context: (jnp.cumsum(u) - u)[:, None]
        >>> visit_by_passes(sums, None, lambda index, output: (1.0 + output[0], output[0]), None, (4,)).tolist()
        [0.0, 1.0, 3.0, 7.0]
    """

    def element(u: Array, index: Array) -> tuple[Array, Any]:
        outputs = apply(params, u.reshape(event_shape), context)
        value, y = pick(index, outputs.reshape(u.size, -1)[index])
        return u.at[index].set(value), y

    count = math.prod(event_shape)
    ys = jax.lax.scan(element, nothing(params, count), jnp.arange(count))[1]
    return jax.tree.map(lambda y: y.reshape(*event_shape, *y.shape[1:]), ys)


def sees_only_the_past(network: Any, variables: Params, u: Array, context: Any = None) -> bool:
    """Whether no output changes with its own element or a later one: whether all those derivatives are 0 at u.

    Worth asking of a network of your own: with one that looks ahead every likelihood is too good, and nothing else
    would notice.

    Args:
        network: anything with `.apply(variables, u, context) -> [*u.shape, size]`.
        variables: of the network; those of fresh networks often end in a layer of zeros, which hides what it sees.
        u: one event; the Jacobian has u.size^2 size numbers.
        context: as the network takes it.

    Example:
        >>> from jaxvae.networks.causal.pixel_cnn import gated_pixel_cnn
        >>> network = gated_pixel_cnn((3, 3, 1), features=2, layers=2)
        >>> u = jnp.zeros((3, 3, 1))
        >>> sees_only_the_past(network, network.init(jax.random.key(0), u, None), u)
        True
    """

    def outputs(flat: Array) -> Array:
        return network.apply(variables, flat.reshape(u.shape), context).reshape(flat.size, -1)

    slopes = jax.jit(jax.jacrev(outputs))(jnp.ravel(u))  # [output of element, size, element]
    return bool((jnp.triu(jnp.abs(slopes).max(1)) == 0.0).all())
