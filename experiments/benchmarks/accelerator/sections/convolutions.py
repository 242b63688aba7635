"""Native convolutions against slices and one matrix product: do they agree, and which trains faster?

agreement: the largest difference of mean, variance and pixels, and of the gradient of the loss, relative to the largest
number of each, at float32. batch_N: examples/s of the conv VAE, [lowest, median, highest], taking turns. Rounded to
bfloat16, the product uses such factors and the native convolution TF32.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from experiments.benchmarks.accelerator.section import Part, Section
from experiments.benchmarks.accelerator.sections.turns import take_turns, timed
from experiments.benchmarks.contenders import jaxvae_train
from experiments.benchmarks.worker import told

WAYS = {"native": True, "product": False}
PRECISIONS = ("tensorfloat32", "bfloat16")


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    batches = (2,) if tiny else (128, 1024)
    return {"agreement": Part(agreement, ("outputs", "gradient", "agree"))} | {
        f"batch_{batch}": Part(functools.partial(rates, batch=batch), ("rates", "native_over_product"))
        for batch in batches
    }


def agreement(section: Section) -> None:
    """Both on one batch, from the same parameters."""
    images = np.load(section.scratch / "train.npy", mmap_mode="r", allow_pickle=False)[:16]
    x = jnp.asarray(images, jnp.float32) / 255
    keys = jax.random.split(jax.random.key(1), len(x))
    found: dict[str, tuple[Any, Any]] = {}
    with jax.default_matmul_precision("float32"):
        for name, native in WAYS.items():
            model = jaxvae_train.networks("conv", images.shape[1:], native)
            params = jax.jit(model.init)(jax.random.key(0), x[0])
            loss = jaxvae.bound_loss(model)
            gradient = jax.jit(jax.grad(loss, has_aux=True))(params, keys, x, jnp.int32(0))
            found[name] = gradient[1], gradient[0]
    outputs, gradient = (_relative(a, b) for a, b in zip(*found.values(), strict=True))
    section.note(outputs=outputs, gradient=gradient, agree=max(outputs, gradient) < 1e-4)
    section.row("native and product convolutions: largest relative difference of the gradient", f"{gradient:.1e}")


def _relative(a: Any, b: Any) -> float:
    """The largest difference of two trees of arrays, each relative to its largest number."""
    pairs = [(np.float64(x), np.float64(y)) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]
    return max(float(np.abs(x - y).max() / max(np.abs(x).max(), 1e-30)) for x, y in pairs)


def rates(section: Section, batch: int) -> None:
    """Which trains faster?"""
    images = np.load(section.scratch / "train.npy", allow_pickle=False)
    images = images[: 2 * batch if section.tiny else 60 * 1024 // batch * batch]
    images = images[: len(images) // batch * batch]
    contenders, precisions = [], PRECISIONS[:1] if section.tiny else PRECISIONS  # compiling takes long
    for precision in precisions:
        for name, native in WAYS.items():
            section.need(2.0)
            epoch = told(jaxvae_train.make(images, "conv", batch, native), precision)
            contenders.append(timed(f"{name}@{precision}", epoch, len(images)))
            contenders[-1].warm_up()
    take_turns(contenders, section.left, rounds=2 if section.tiny else 5, seconds=0.0 if section.tiny else 0.1)
    found = {one.name: one.span for one in contenders}
    ratios = {p: found[f"native@{p}"][1] / found[f"product@{p}"][1] for p in precisions}
    section.note(rates=found, native_over_product=ratios)
    for precision, ratio in ratios.items():
        section.row(f"conv, batch {batch}, {precision}: native convolutions are faster by", f"{ratio:.2f}")
