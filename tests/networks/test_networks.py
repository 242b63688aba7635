"""Networks: shapes, impossible options, and the CPU's convolution against the native one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as Spec
from small import moved

from jaxvae.models.variational import vae
from jaxvae.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, ResNetDecoder, ResNetEncoder, from_nnx
from jaxvae.networks.convolution import conv, conv_transpose
from jaxvae.networks.precision import at_precision
from jaxvae.networks.rows import Dense, dense_product, matmul_rows
from jaxvae.training.losses.bound import bound_loss

# Compiling costs more than running here, so XLA is told not to optimise.
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.rows(every_slow=4)
@pytest.mark.rows(
    slow=[
        "5-3-8-7-conv",
        "2-3-7-5-conv_transpose",
        "5-3-8-7-conv_transpose",
        "3-2-7-10-conv_transpose",
        "4-2-7-10-conv",
        "3-2-7-10-conv",
        "3-1-1-5-conv_transpose",
        "2-2-6-8-conv_transpose",
        "2-2-6-8-conv",
        "4-1-6-5-conv_transpose",
    ],
    full=["3-2-8-8-conv", "3-2-8-8-conv_transpose", "4-2-7-10-conv_transpose", "2-3-7-5-conv"],
)
@pytest.mark.parametrize("function", [conv, conv_transpose])
@pytest.mark.parametrize(
    ("size", "stride", "height", "width"),
    [(3, 2, 8, 8), (3, 2, 7, 10), (4, 2, 7, 10), (5, 3, 8, 7), (3, 1, 1, 5), (4, 1, 6, 5), (2, 3, 7, 5), (2, 2, 6, 8)],
)
def test_the_matrix_product_is_the_native_convolution_in_value_and_gradient(function, size, stride, height, width):
    channels = 3 if function is conv else 4
    x = jax.random.normal(jax.random.key(0), (2, height, width, channels))
    kernel = jax.random.normal(jax.random.key(1), (size, size, 3, 4)) / size

    def value(native):
        def loss(x, kernel):
            outputs = jax.vmap(lambda one: function(one, kernel, stride, native=native))(x)
            return jnp.sin(outputs).sum(), outputs

        return quick_jit(jax.grad(loss, (0, 1), has_aux=True))(x, kernel)

    for ours, native in zip(jax.tree.leaves(value(False)), jax.tree.leaves(value(True)), strict=True):
        assert ours.shape == native.shape
        np.testing.assert_allclose(ours, native, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_convolution_in_a_compiled_loop_has_the_gradient_of_one_outside():
    x = jax.random.normal(jax.random.key(0), (8, 8, 1))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 1, 2))

    def slope(kernel):
        return jax.grad(lambda k: jnp.square(conv(x, k)).sum())(kernel)

    looped = quick_jit(lambda k: jax.lax.scan(lambda c, _: (c + slope(k), None), jnp.zeros_like(k), None, 2)[0])
    np.testing.assert_allclose(looped(kernel), 2 * slope(kernel), rtol=1e-5)


def wave(product, x, kernel):
    return jnp.sin(product(x, kernel)).sum()


def over_examples(product, x, kernel):
    return wave(jax.vmap(product, (0, None)), x, kernel)


# The operator `@` is the oracle: it has the same batching and derivatives, of JAX's own making.
TRANSFORMATIONS = {
    "the value for one example": lambda product, x, k: product(x[0], k),
    "two batch axes": lambda product, x, k: jax.vmap(jax.vmap(product, (1, None)), (0, None))(x[None], k),
    "a kernel for each member of a sweep": lambda product, x, k: jax.vmap(
        jax.grad(lambda kernel: over_examples(product, x, kernel))
    )(jnp.stack([k, 2 * k])),
    "both gradients": lambda product, x, k: jax.grad(over_examples, (1, 2))(product, x, k),
    "a narrow output": lambda product, x, k: jax.grad(over_examples, (1, 2))(product, jnp.tile(x, 2), k[:2].T),
    "one gradient for each example": lambda product, x, k: jax.vmap(jax.grad(wave, 2), (None, 0, None))(product, x, k),
    "forward mode": lambda product, x, k: jax.jvp(lambda *a: over_examples(product, *a), (x, k), (x + 1, 2 * k)),
    "second derivatives": lambda product, x, k: jax.hessian(wave, 2)(product, x[0], k),
    "recomputed in the backward pass": lambda product, x, k: jax.grad(
        jax.checkpoint(lambda kernel: over_examples(product, x, kernel))
    )(k),
    "an empty batch": lambda product, x, k: jax.grad(over_examples, 2)(product, x[:0], k),
}


@pytest.mark.rows(every=3)
@pytest.mark.parametrize("product", [matmul_rows, dense_product])
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_the_product_of_rows_is_the_operator_under_every_transformation(name, product):
    x, kernel = jax.random.normal(jax.random.key(0), (4, 5, 3)), jax.random.normal(jax.random.key(1), (3, 6))
    case = TRANSFORMATIONS[name]
    ours, theirs = (quick_jit(functools.partial(case, one))(x, kernel) for one in (product, jnp.matmul))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), ours, theirs)


@pytest.mark.rows(slow=["9-3-dense_product"], full=["9-3-matmul_rows", "2-4-dense_product"])
@pytest.mark.parametrize("product", [matmul_rows, dense_product])
@pytest.mark.parametrize("examples", [4, 3])  # an even number of rows takes a way of its own, and 15 rows the plain one
@pytest.mark.parametrize("outputs", [2, 9])
def test_rounded_factors_give_the_product_of_what_they_were_rounded_to_and_so_do_its_gradients(
    product, examples, outputs
):
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (examples, 5, 7)), jax.random.normal(keys[1], (7, outputs))
    weights = jax.random.normal(keys[2], (examples, 5, outputs))

    def weighted(x, kernel):
        values = jax.vmap(product, (0, None))(x, kernel)
        return (weights * values).sum(), values

    with jax.default_matmul_precision("bfloat16"):
        (of_x, of_kernel), values = jax.jit(jax.grad(weighted, (0, 1), has_aux=True))(x, kernel)
    round_x, round_kernel, round_weights = (
        np.asarray(a.astype(jnp.bfloat16), np.float64) for a in (x, kernel, weights)
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    close(values, round_x @ round_kernel)
    close(of_x, round_weights @ round_kernel.T)
    close(of_kernel, np.einsum("nri,nro->io", round_x, round_weights))
    assert {a.dtype for a in (values, of_x, of_kernel)} == {jnp.dtype("float32")}
    assert np.abs(values - np.float64(x) @ np.float64(kernel)).max() > 1e-3  # the rounding can be seen


@pytest.mark.slow
def test_rounded_factors_reach_every_derivative_and_no_other_precision_rounds():
    x, kernel = jax.random.normal(jax.random.key(0), (5, 3)), jax.random.normal(jax.random.key(1), (3, 6))
    rounded = [a.astype(jnp.bfloat16).astype(jnp.float32) for a in (x, kernel)]
    for precision in ("bfloat16", "BF16_BF16_F32"):
        with jax.default_matmul_precision(precision):
            ours = jax.jit(jax.hessian(functools.partial(wave, matmul_rows)))(x, kernel)
            value = matmul_rows(x, kernel)
        # Up to the factors that the chain rule rounds on its way, 2^-8 of them.
        np.testing.assert_allclose(ours, jax.hessian(functools.partial(wave, jnp.matmul))(*rounded), rtol=0, atol=0.1)
        np.testing.assert_allclose(value, rounded[0] @ rounded[1], rtol=1e-5, atol=1e-6)
    for precision in (None, "float32", "highest", "tensorfloat32"):
        with jax.default_matmul_precision(precision):
            np.testing.assert_array_equal(matmul_rows(x, kernel), x @ kernel)
    with jax.enable_x64(True), jax.default_matmul_precision("bfloat16"):
        double = np.random.default_rng(0).normal(size=(5, 3))
        np.testing.assert_allclose(matmul_rows(jnp.asarray(double), jnp.eye(3, dtype=float)), double, rtol=1e-15)


def test_the_precision_asked_for_holds_in_every_product_though_the_program_is_lowered_after_it():
    x, kernel = jax.ShapeDtypeStruct((5, 3), jnp.float32), jax.ShapeDtypeStruct((3, 6), jnp.float32)

    def loss(product, x, kernel):
        return jnp.sin(product(x, kernel)).sum()

    for product in (matmul_rows, dense_product):
        slope = jax.grad(functools.partial(loss, product), (0, 1))
        for name, word in (("float32", "HIGHEST"), ("tensorfloat32", "HIGH"), ("default", "DEFAULT")):
            lowered = jax.jit(at_precision(slope, name)).lower(x, kernel).as_text()
            assert lowered.count("dot_general") == 3
            assert lowered.count(f"precision = [{word}, {word}]") == 3


@pytest.mark.parametrize("checked", [True, False])
def test_the_product_of_rows_has_one_gradient_on_one_device_and_on_two(checked):
    x, kernel = jax.random.normal(jax.random.key(0), (4, 5, 3)), jax.random.normal(jax.random.key(1), (3, 6))
    mesh = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Auto,))

    def slope(x, kernel):
        found = jax.grad(over_examples, 2)(matmul_rows, x, kernel)
        return found if checked else jax.lax.psum(found, "devices")  # The check sums over the devices by itself.

    several = jax.shard_map(slope, mesh=mesh, in_specs=(Spec("devices"), Spec()), out_specs=Spec(), check_vma=checked)
    expected = jax.grad(over_examples, 2)(jnp.matmul, x, kernel)
    np.testing.assert_allclose(jax.jit(several)(x, kernel), expected, rtol=1e-5, atol=1e-5)


def test_the_compiled_gradient_of_a_batch_transposes_no_image():
    """The batch joins the rows before the product, so XLA contracts one axis and copies nothing of the batch's size."""
    x = jax.ShapeDtypeStruct((16, 8, 8, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4, 8), jnp.float32)

    def loss(x, kernel):
        return jnp.sin(jax.vmap(lambda one: conv(one, kernel, native=False))(x)).sum()

    jaxpr = str(jax.make_jaxpr(jax.grad(loss, 1))(x, kernel))
    assert "dimension_numbers=(([0], [0]), ([], []))" in jaxpr
    assert "[0, 1], [0, 1]" not in jaxpr


def test_the_compiled_gradient_of_many_samples_transposes_no_logits():
    """Two batch axes join before the product: the kernel's gradient contracts one axis."""
    layer, z = Dense(8), jax.ShapeDtypeStruct((16, 5, 3), jnp.float32)

    def loss(kernel, z):
        def apply(one):
            return layer.apply({"params": {"kernel": kernel, "bias": jnp.zeros(8)}}, one)

        return jnp.sin(jax.vmap(jax.vmap(apply))(z)).sum()

    jaxpr = str(jax.make_jaxpr(jax.grad(loss))(jax.ShapeDtypeStruct((3, 8), jnp.float32), z))
    assert "dimension_numbers=(([0], [0]), ([], []))" in jaxpr
    assert "[0, 1], [0, 1]" not in jaxpr


PAIRS = {
    "mlp": (MLPEncoder(3, (8, 6)), lambda shape, channels: MLPDecoder(shape, channels, (6, 8))),
    "linear": (MLPEncoder(3, ()), lambda shape, channels: MLPDecoder(shape, channels, ())),
    "conv": (ConvEncoder(3, (4, 6), 8), lambda shape, channels: ConvDecoder(shape, channels, (4, 6), 8)),
    "resnet": (ResNetEncoder(3, (4, 6), 8), lambda shape, channels: ResNetDecoder(shape, channels, (4, 6), 8)),
    "one conv layer": (ConvEncoder(3, (4,), 8), lambda shape, channels: ConvDecoder(shape, channels, (4,), 8)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("shape", "channels"), [((8, 4, 1), 1), ((4, 12, 3), 2)])
def test_encoders_give_mean_and_log_var_and_decoders_the_channels_asked_for(name, shape, channels):
    encoder, make = PAIRS[name]
    decoder = make(shape, channels)
    x, z = jnp.ones(shape), jnp.ones(3)
    mean, log_var = jax.eval_shape(lambda: encoder.apply(encoder.init(jax.random.key(0), x), x))
    assert mean.shape == log_var.shape == (3,)
    outputs = jax.eval_shape(lambda: decoder.apply(decoder.init(jax.random.key(0), z), z))
    assert outputs.shape == (*shape[:-1], shape[-1] * channels)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MLPEncoder(0), ValueError, "latent_dim is 0"),
        (lambda: MLPEncoder(-1), ValueError, "latent_dim is -1"),
        (lambda: MLPEncoder(2.5), TypeError, "latent_dim is 2.5"),
        (lambda: MLPEncoder("4"), TypeError, "latent_dim is '4'"),
        (lambda: ConvEncoder(True), TypeError, "latent_dim is True"),
        (lambda: MLPEncoder(2, (8, 0)), ValueError, "hidden is 0"),
        (lambda: MLPEncoder(2, 400), TypeError, "hidden is 400, expected a tuple"),
        (lambda: MLPEncoder(2, activation="rleu"), ValueError, "'rleu'.*Did you mean 'relu'"),
        (
            lambda: ConvEncoder(2, activation="gated"),
            ValueError,
            "activation is 'gated', which the hidden.*network mlp",
        ),
        (lambda: MLPDecoder((8, 8, 0)), ValueError, "event_shape is 0"),
        (lambda: MLPDecoder((8, 8, 1), channels=0), ValueError, "channels is 0"),
        (lambda: ConvEncoder(2, ()), ValueError, "features is ()"),
        (lambda: ConvEncoder(2, (4, -4)), ValueError, "features is -4"),
        (lambda: ConvEncoder(2, dense=0), ValueError, "dense is 0"),
        (lambda: ConvEncoder(2, kernel_size=0), ValueError, "kernel_size is 0"),
        (lambda: ResNetEncoder(2, blocks=0), ValueError, "blocks is 0"),
        (lambda: ResNetDecoder((12, 8, 3)), ValueError, r"\(12, 8, 3\).*multiples of 8.*16 x 8"),
        (lambda: ConvDecoder((28, 28)), ValueError, r"\(28, 28\), expected one image \(H, W, C\)"),
        (lambda: ConvDecoder((30, 28, 1)), ValueError, r"\(30, 28, 1\).*multiples of 4.*32 x 28"),
    ],
)
def test_impossible_layers_are_refused_when_they_are_made(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("shape", [(30, 28, 1), (28, 28), (2, 28, 28, 1)])
def test_an_image_that_the_strides_do_not_allow_is_refused(shape):
    with pytest.raises(ValueError, match="x has shape"):
        jax.eval_shape(ConvEncoder(2).init, jax.random.key(0), jnp.zeros(shape))


@pytest.mark.parametrize("encoder", [MLPEncoder(2, (4,)), ConvEncoder(2, (4,), 8)], ids=["mlp", "conv"])
@pytest.mark.parametrize("shape", [(8, 8, 3), (4, 8, 1)])
def test_an_image_that_does_not_fit_the_parameters_is_named(encoder, shape):
    variables = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((8, 8, 1)))
    with pytest.raises(ValueError, match=rf"x has shape \({shape[0]}, 8, {shape[2]}\).*that init saw"):
        jax.eval_shape(encoder.apply, variables, jnp.zeros(shape))


@pytest.mark.parametrize("name", [name for name in PAIRS if "conv" in name or name == "resnet"])
def test_weights_and_outputs_of_convolutions_stay_float32_where_float64_is_enabled(name):
    encoder, make = PAIRS[name]
    with jax.enable_x64(True):
        for network, one in ((encoder, jnp.zeros((8, 4, 1), "float32")), (make((8, 4, 1), 1), jnp.zeros(3, "float32"))):
            variables = jax.eval_shape(network.init, jax.random.key(0), one)
            made = variables, jax.eval_shape(network.apply, variables, one)
            assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("decoder", [MLPDecoder((4, 4, 1), 1, (4,)), ConvDecoder((4, 4, 1), 1, (4,), 8)])
def test_latents_that_do_not_fit_the_parameters_are_named(decoder):
    variables = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros(3))
    for shape, words in [((5,), r"z has shape \(5,\).*that init saw"), ((2, 3), "expected one latent vector")]:
        with pytest.raises(ValueError, match=words):
            jax.eval_shape(decoder.apply, variables, jnp.zeros(shape))


def test_a_gated_layer_is_one_product_times_the_sigmoid_of_another():
    rng, hidden = np.random.default_rng(0), (4, 3)
    x, network = rng.normal(size=(2, 3, 1)).astype(np.float32), MLPDecoder((2, 1), 1, hidden, "gated")
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
        jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(6)),
    )
    h = x.ravel().astype(np.float64)
    for number, width in enumerate(hidden):
        layer = params["params"][f"Dense_{number}"]
        a, b = layer["kernel"][:, :width], layer["kernel"][:, width:]
        h = (h @ a + layer["bias"][:width]) / (1 + np.exp(-(h @ b + layer["bias"][width:])))
    last = params["params"]["Dense_2"]
    np.testing.assert_allclose(network.apply(params, x.ravel()).ravel(), h @ last["kernel"] + last["bias"], rtol=1e-5)


def test_the_size_of_the_kernel_is_an_option_of_both_networks():
    encoder, decoder = ConvEncoder(2, (4,), 8, kernel_size=4), ConvDecoder((6, 4, 1), 1, (4,), 8, kernel_size=5)
    down = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((6, 4, 1)))
    up = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros(2))
    assert down["params"]["Conv_0"]["kernel"].shape == (4, 4, 1, 4)
    assert up["params"]["ConvTranspose_0"]["kernel"].shape == (5, 5, 1, 4)
    assert {leaf.dtype for leaf in jax.tree.leaves((down, up))} == {jnp.dtype("float32")}


@pytest.mark.full
@pytest.mark.quick_compile
def test_a_residual_network_starts_as_its_skips_and_then_sees_every_pixel_and_latent():
    options = {"features": (4, 6), "dense": 8, "attention": True}
    encoder, decoder = ResNetEncoder(2, **options), ResNetDecoder((4, 8, 1), 2, **options)
    x, z = jax.random.normal(jax.random.key(0), (4, 8, 1)), jnp.ones(2)
    ends = {"Conv_3"}, {"Conv_1", "Conv_3", "ConvTranspose_0"}  # the second of each block; the stem has none
    cases = (encoder, x, x.at[-1, -1].add(1.0)), (decoder, z, z.at[1].add(1.0))
    for (network, one, corner), at_zero in zip(cases, ends, strict=True):
        variables, apply = jax.jit(network.init)(jax.random.key(0), one), jax.jit(network.apply)
        kernels = {name: part["kernel"] for name, part in variables["params"].items() if name.startswith("Conv")}
        assert {name for name, kernel in kernels.items() if not np.any(kernel)} == at_zero
        variables = moved(variables)
        for found, other in zip(*(jax.tree.leaves(apply(variables, at)) for at in (one, corner)), strict=True):
            assert (np.abs(found - other) > 1e-6).all()


@pytest.mark.full
def test_both_networks_can_be_told_to_use_native_convolutions_or_none_and_compute_the_same():
    native, product = (
        (ConvEncoder(2, (3, 4), 8, native=native), ConvDecoder((8, 8, 1), 1, (3, 4), 8, native=native))
        for native in (True, False)
    )
    for ours, theirs, x in zip(native, product, (jnp.ones((8, 8, 1)), jnp.ones(2)), strict=True):
        params = jax.jit(ours.init)(jax.random.key(0), x)
        assert str(jax.make_jaxpr(ours.apply)(params, x)).count("conv_general_dilated[") == 2
        assert "conv_general_dilated[" not in str(jax.make_jaxpr(theirs.apply)(params, x))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours.apply(params, x), theirs.apply(params, x)
        )


class NnxEncoder(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(16, 8, rngs=rngs), nnx.Linear(8, 6, rngs=rngs)])

    def __call__(self, x):
        h = self.layers[1](nnx.relu(self.layers[0](x.reshape(-1))))
        return h[:3], h[3:]


class LinenEncoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.relu(nn.Dense(8)(x.reshape(-1)))
        return nn.Dense(3)(h), nn.Dense(3)(h)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [from_nnx(lambda rngs: NnxEncoder(rngs)), LinenEncoder()], ids=["nnx", "linen"])
def test_a_users_own_network_trains(encoder):
    model = vae(encoder, MLPDecoder((4, 4, 1), hidden=(8,)), event_shape=(4, 4, 1), latent_dim=3)
    x = jnp.zeros((6, 4, 4, 1)).at[:3].set(1.0)
    params = quick_jit(model.init)(jax.random.key(0), x[0])
    assert all(isinstance(key, str) for path, _ in jax.tree.leaves_with_path(params) for key in [path[0].key])
    loss, keys = bound_loss(model), jax.random.split(jax.random.key(1), 6)

    @quick_jit
    def step(params):
        value, gradient = jax.value_and_grad(lambda p: loss(p, keys, x, jnp.int32(0))[0])(params)
        return value, jax.tree.map(lambda p, g: p - 0.05 * g, params, gradient)

    losses = []
    for _ in range(31):
        value, params = step(params)
        losses.append(float(value))
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_an_nnx_module_with_state_of_its_own_is_refused():
    with pytest.raises(ValueError, match=r"mean.*LayerNorm"):
        from_nnx(lambda rngs: nnx.BatchNorm(4, rngs=rngs)).init(jax.random.key(0), jnp.ones(4))
