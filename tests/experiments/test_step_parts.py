"""Where the time of a step and of a start goes: parts that are left out, kernels that are named."""

import jax
import jax.numpy as jnp
import pytest

from experiments.benchmarks.start_parts import timed
from experiments.benchmarks.step_kernels import NAMED, PRODUCTS, Kernel, kernels
from experiments.benchmarks.step_parts import CUT, pictures_with
from jaxvae.networks import convolution


def test_what_stands_for_patches_and_overlaps_has_their_shapes_and_goes_again():
    x, kernel, up = jnp.ones((4, 6, 3)), jnp.ones((3, 3, 3, 5)), jnp.ones((3, 3, 2, 3))
    own = {name: getattr(convolution, attribute) for name, attribute in CUT.items()}

    def outputs():
        return convolution.conv(x, kernel, native=False), convolution.conv_transpose(x, up, native=False)

    whole = outputs()
    with pictures_with(()):
        cheap = outputs()
    with pictures_with(CUT):
        assert all((a == b).all() for a, b in zip(outputs(), whole, strict=True))
    assert [y.shape for y in cheap] == [y.shape for y in whole] == [(2, 3, 5), (8, 12, 2)]
    assert not (cheap[1] == whole[1]).all()  # the patches of ones differ at the border alone
    assert {name: getattr(convolution, attribute) for name, attribute in CUT.items()} == own


def test_a_kernel_is_named_by_what_it_comes_from():
    text = """
  %ynn_fusion.29 = f32[6272,64]{1,0} fusion(%a), kind=kCustom, metadata={op_name="jit(f)/Conv_1/dot_general" x=1}
  ROOT %add.2 = f32[3] add(%a, %b), metadata={op_name="jit(f)/while/body/cond/branch_1_fun/add"}
  %exp = f32[] exponential(%c), metadata={op_name="jit(f)/exp"}
"""
    found = [Kernel(name, shape, source, 1.0) for name, shape, source in NAMED.findall(text)]
    assert [(kernel.name, kernel.shape) for kernel in found] == [
        ("ynn_fusion.29", "f32[6272,64]"),
        ("add.2", "f32[3]"),
        ("exp", "f32[]"),
    ]
    kinds = [PRODUCTS, "the optimizer's update", "loss, random numbers, norm, data"]
    assert [kernel.kind for kernel in found] == kinds


@pytest.mark.slow
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="kernels of a CPU")
def test_the_profiler_finds_the_product_of_a_loop():
    loop = jax.jit(lambda x, steps: jax.lax.fori_loop(0, steps, lambda i, y: jnp.tanh(y @ x), x))
    x = jnp.ones((64, 64))
    compiled = loop.lower(x, 1).compile()
    found = kernels(lambda steps: jax.block_until_ready(compiled(x, steps)), compiled.as_text(), steps=4, turns=2)
    assert PRODUCTS in {kernel.kind for kernel in found}
    assert all(kernel.milliseconds > 0 for kernel in found)


def test_a_timed_call_gives_its_result_and_its_name():
    parts = []
    assert timed(parts, "sum", lambda: 1 + 2) == 3
    assert [part.name for part in parts] == ["sum"]
