"""What a training step is made of: the same step without one part, beside the whole one, in turns.

    python -m experiments.benchmarks.step_parts --batch 128

Time: a minute of processor time, two of convolutions. The step is `contenders/bare_scan.py` in short, written so that a
part can be left out: Adam (then plain gradient descent), the cross-entropy (then a squared error), random numbers (then
a constant), the norm of the gradient and the guard that reads it. What remains without all of them is products, their
inputs and the cost of a loop: no program of this model can be faster than that share of the whole. Parts overlap, so
that their shares do not add up.

With --model conv the networks are the library's, and two more parts are left out: the cutting of patches (as many
numbers are copied) and the adding of what overlaps. --kernels lists what XLA made of the whole step. On a busy machine
--processor-time compares what the programs took of one processor (taskset -c 0), not how long they waited for it.

Obtained on two idle cores without units for products of matrices, --rounds 30: without all four 0.87 (0.61 to 1.07) of
the whole step at batch 128, by the quickest turns of each 0.82; without Adam 0.89 (0.81 to 1.19), without the norm 0.95
(0.76 to 1.30). With --batch 1024 --rounds 12 --steps 15: without all four 0.89 (0.79 to 1.38), no single part below
0.95. On one busy core, --model conv --processor-time --rounds 12 --steps 10 --kernels 6: without all six 0.92 (0.80 to
1.04), without patches 0.96 (0.85 to 1.04), no other single part below 0.98; products are 0.76 of the kernels' time.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal
from unittest import mock

Networks = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]
WHOLE = "the whole step"
PARTS = ("adam", "cross_entropy", "random", "norm")
CUT = {"patches": "_patches", "overlaps": "_add_overlaps"}  # of convolutions, and what makes them there


@dataclass(frozen=True)
class StepOptions:
    """What to measure.

    Attributes:
        model: the VAE, see `experiments.benchmarks.contenders`.
        batch: examples of a step.
        rounds: turns of each program.
        steps: of a turn.
        processor_time: whether to measure that of this process, where others use the same cores.
        kernels: how many of the compiled pieces of the whole step to list, the longest first; None lists none.
        output: a JSON file; what is printed lies beside it, without one in runs/benchmarks/step_parts.
    """

    model: Literal["mlp", "conv"] = "mlp"
    batch: int = 128
    rounds: int = 9
    steps: int = 60
    processor_time: bool = False
    kernels: int | None = None
    output: Path | None = None


def networks(model: str) -> Networks:
    """(init, encode, decode) of flat examples: the MLP written by hand, or the library's convolutions."""
    from experiments.benchmarks.contenders import bare_networks

    if model == "mlp":
        return bare_networks.networks("mlp")
    import jax
    import jax.numpy as jnp

    import jaxvae

    shape, latents = (28, 28, 1), bare_networks.LATENT
    encoder, decoder = jaxvae.ConvEncoder(latents), jaxvae.ConvDecoder(shape)

    def init(key: Any) -> Any:
        one, other = jax.random.split(key)
        return encoder.init(one, jnp.zeros(shape)), decoder.init(other, jnp.zeros(latents))

    def encode(params: Any, x: Any) -> Any:
        return encoder.apply(params[0], x.reshape(shape))

    def decode(params: Any, z: Any) -> Any:
        logits: Any = decoder.apply(params[1], z)
        return logits.reshape(-1)

    return init, encode, decode


@contextlib.contextmanager
def pictures_with(parts: Collection[str]) -> Iterator[None]:
    """Convolutions without what is not named of `CUT`: as many numbers, in no order that means anything."""
    import jax.numpy as jnp

    from jaxvae.networks import convolution

    def patches(x: Any, size: tuple[int, int], stride: int) -> Any:
        flat = x.reshape(x.shape[0] // stride, x.shape[1] // stride, -1)
        wanted = size[0] * size[1] * x.shape[2]
        return jnp.concatenate([flat] * -(-wanted // flat.shape[2]), axis=-1)[..., :wanted]

    def overlaps(spread: Any, kernel_shape: tuple[int, int, int], stride: int) -> Any:
        rows, columns, _ = spread.shape
        features = kernel_shape[2]
        return spread[..., : stride**2 * features].reshape(stride * rows, stride * columns, features)

    with contextlib.ExitStack() as stack:
        for name, cheap in (("patches", patches), ("overlaps", overlaps)):
            if name not in parts:
                stack.enter_context(mock.patch.object(convolution, CUT[name], cheap))
        yield


def step_with(parts: Collection[str], batch: int, model: str = "mlp") -> tuple[Callable[[int], Any], str]:
    """(trains for so many steps, with the named parts alone; the program that XLA made of it, as text)."""
    import jax
    import jax.numpy as jnp
    import optax

    from experiments.benchmarks.contenders import bare_scan

    init, encode, decode = networks(model)
    optimizer = optax.adam(1e-3) if "adam" in parts else optax.sgd(1e-4)
    images = jax.random.bits(jax.random.key(1), (8 * batch, 784), jnp.uint8)

    def loss(params: Any, keys: Any, raw: Any) -> Any:
        def one(key: Any, image: Any) -> Any:
            x = image.astype(jnp.float32) / 255
            mean, log_var = encode(params, x)
            noise = jax.random.normal(key, mean.shape) if "random" in parts else jnp.full_like(mean, 0.5)
            logits = decode(params, mean + jnp.exp(0.5 * log_var) * noise)
            kl = 0.5 * (mean**2 + jnp.exp(log_var) - 1 - log_var).sum()
            if "cross_entropy" in parts:
                return bare_scan.cross_entropy(x, logits) + kl
            return 0.5 * ((x - logits) ** 2).sum() + kl

        return jax.vmap(one)(keys, raw).mean()

    def step(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        params, moments = carry
        key = jax.random.key(0)
        keys = jax.random.split(jax.random.fold_in(key, i) if "random" in parts else key, batch)
        raw = jax.lax.dynamic_slice_in_dim(images, i * batch % len(images), batch)
        gradient = jax.grad(loss)(params, keys, raw)

        def update() -> tuple[Any, Any]:
            updates, new = optimizer.update(gradient, moments, params)
            return optax.apply_updates(params, updates), new

        if "norm" not in parts:
            return update()
        good = jnp.isfinite(optax.tree.norm(gradient))
        params, moments = jax.lax.cond(good, update, lambda: (params, moments))
        return params, moments

    train = jax.jit(lambda params, moments, steps: jax.lax.fori_loop(0, steps, step, (params, moments)))
    params = init(jax.random.key(0))
    moments = optimizer.init(params)
    with pictures_with(parts):
        compiled = train.lower(params, moments, 1).compile()
    return lambda steps: jax.block_until_ready(compiled(params, moments, steps)), compiled.as_text() or ""


def main() -> None:
    """Parses, measures, prints, and writes --output."""
    import json

    import tyro

    from experiments.benchmarks.kept import kept, span
    from jaxvae.evaluation.measured import print_table
    from jaxvae.files import write_text

    options = tyro.cli(StepOptions, description=__doc__)
    clock = time.process_time if options.processor_time else time.perf_counter
    whole = (*PARTS, *CUT) if options.model == "conv" else PARTS
    programs = {WHOLE: whole} | {f"without {left}": [p for p in whole if p != left] for left in whole}
    programs["without all of these"] = []
    both = {name: step_with(parts, options.batch, options.model) for name, parts in programs.items()}
    made = {name: train for name, (train, _) in both.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(options.rounds + 1):
        for name, train in made.items():
            start = clock()
            train(options.steps)
            if turn:  # the first one compiles
                seconds[name].append((clock() - start) / options.steps)
    rows: list[dict[str, Any]] = []
    for name, taken in seconds.items():
        shares = [one / whole_one for one, whole_one in zip(taken, seconds[WHOLE], strict=True)]
        milliseconds, share = ([min(x), median(x), max(x)] for x in ([1e3 * t for t in taken], shares))
        rows.append({"program": name, "milliseconds": milliseconds, "share": share})
    with kept("step_parts", options.output):
        cells = [(row["program"], span(row["milliseconds"], "ms"), span(row["share"])) for row in rows]
        print_table(f"a step of {options.batch}", ("program", "ms (min, median, max)", "of the whole step"), cells)
        if options.kernels:
            from experiments.benchmarks.step_kernels import kernels, show

            train, text = both[WHOLE]
            show(kernels(train, text, options.steps), options.kernels)
    if options.output is not None:
        write_text(options.output, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
