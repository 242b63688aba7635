"""How much a training step computes: the products and convolutions of its program, counted before it is compiled."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxvae.training.engine.parallel import CompiledSteps
from jaxvae.training.engine.state import TrainState


def step_flops(compiled: CompiledSteps, state: TrainState, examples: Any) -> int:
    """Floating-point operations of one step, of a whole batch; the devices that share it do them together.

    JAX traces the program for it and keeps the trace for the first call, which then need not.

    Args:
        compiled: the steps, without numbers of their own.
        state, examples: as `train` takes them; shapes are read and nothing else.
    """

    def shapes(tree: Any, *devices: int) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*devices, *leaf.shape), leaf.dtype), tree)

    apart = compiled.devices > 1 and compiled.own is None  # by pmap: the program is that of one device's share
    given = shapes(state), shapes(examples, *([compiled.devices] if apart else [])), jax.ShapeDtypeStruct((), jnp.int32)
    return count_flops(jax.make_jaxpr(compiled.run)(*given)) * (compiled.devices if apart else 1)


def count_flops(program: Any) -> int:
    """2 for each multiplication of the matrix products and convolutions of a jaxpr; all else is small beside them.

    Of a loop that runs an unknown number of times one round is counted, of branches the dearest.

    Example:
        >>> count_flops(jax.make_jaxpr(lambda a, b: jnp.tanh(a @ b))(jnp.ones((3, 4)), jnp.ones((4, 5))))
        120
    """
    return sum(_of_equation(equation) for equation in getattr(program, "jaxpr", program).eqns)


def _of_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "matmul_rows":  # of networks/rows.py, by which every layer of the library multiplies
        return 2 * math.prod(equation.outvars[0].aval.shape) * _sizes(equation.invars[0], (1,))
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2 * math.prod(equation.outvars[0].aval.shape) * _sizes(equation.invars[0], contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        each = math.prod(kernel) // kernel[params["dimension_numbers"].rhs_spec[0]]
        zeros = math.prod(params["lhs_dilation"])  # between the pixels, where a convolution is transposed
        return 2 * math.prod(equation.outvars[0].aval.shape) * each // zeros
    if name == "cond":
        return max(count_flops(branch) for branch in params["branches"])
    rounds = params["length"] if name == "scan" else 1
    return rounds * sum(count_flops(inner) for value in params.values() for inner in _programs(value))


def _sizes(variable: Any, axes: Any) -> int:
    return math.prod(variable.aval.shape[axis] for axis in axes)


def _programs(value: Any) -> Iterator[Any]:
    """The jaxprs in a parameter of an equation."""
    if hasattr(value, "eqns") or hasattr(value, "jaxpr"):
        yield value
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from _programs(inner)


def flops_in_words(flops: int, batch_size: int) -> str:
    """The same in a line.

    Example:
        >>> flops_in_words(363_724_800, 128)
        'A step of 128 examples: 364 MFLOP in products and convolutions'
    """
    units = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3}
    unit, scale = next((found for found in units.items() if flops >= found[1]), ("k", 1e3))
    return f"A step of {batch_size:,} examples: {flops / scale:.3g} {unit}FLOP in products and convolutions"
