"""What a training step of the MLP is made of: the same step without one part, beside the whole one, in turns.

    python -m experiments.benchmarks.step_parts --batch 128

Time: a minute of processor time. The step is `contenders/bare_scan.py` in short, written so that a part can be left
out: Adam (then plain gradient descent), the cross-entropy (then a squared error), random numbers (then a constant), the
norm of the gradient and the guard that reads it. What remains without all of them is products, their inputs and the
cost of a loop: no program of this model can be faster than that share of the whole. Parts overlap, so that their shares
do not add up.

Obtained on two idle cores without units for products of matrices, --rounds 30: without all four 0.87 (0.61 to 1.07) of
the whole step at batch 128, by the quickest turns of each 0.82; without Adam 0.89 (0.81 to 1.19), without the norm 0.95
(0.76 to 1.30). With --batch 1024 --rounds 12 --steps 15: without all four 0.89 (0.79 to 1.38), no single part below
0.95.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

PARTS = ("adam", "cross_entropy", "random", "norm")


@dataclass(frozen=True)
class StepOptions:
    """What to measure.

    Attributes:
        batch: examples of a step.
        rounds: turns of each program.
        steps: of a turn.
        output: a JSON file; what is printed lies beside it, without one in runs/benchmarks/step_parts.
    """

    batch: int = 128
    rounds: int = 9
    steps: int = 60
    output: Path | None = None


def step_with(parts: Collection[str], batch: int) -> Callable[[int], None]:
    """A function of a number of steps that trains so long, with the named parts alone."""
    import jax
    import jax.numpy as jnp
    import optax

    from experiments.benchmarks.contenders import bare_networks, bare_scan

    init, encode, decode = bare_networks.networks("mlp")
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
    return lambda steps: jax.block_until_ready(train(params, moments, steps))


def main() -> None:
    """Parses, measures, prints, and writes --output."""
    import json

    import tyro

    from experiments.benchmarks.kept import kept, span
    from jaxvae.evaluation.measured import print_table
    from jaxvae.files import write_text

    options = tyro.cli(StepOptions, description=__doc__)
    programs = {"the whole step": PARTS} | {f"without {left}": [p for p in PARTS if p != left] for left in PARTS}
    made = {name: step_with(parts, options.batch) for name, parts in {**programs, "without all four": ()}.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(options.rounds + 1):
        for name, train in made.items():
            start = time.perf_counter()
            train(options.steps)
            if turn:  # the first one compiles
                seconds[name].append((time.perf_counter() - start) / options.steps)
    rows: list[dict[str, Any]] = []
    for name, taken in seconds.items():
        shares = [one / whole for one, whole in zip(taken, seconds["the whole step"], strict=True)]
        milliseconds, share = ([min(x), median(x), max(x)] for x in ([1e3 * t for t in taken], shares))
        rows.append({"program": name, "milliseconds": milliseconds, "share": share})
    with kept("step_parts", options.output):
        cells = [(row["program"], span(row["milliseconds"], "ms"), span(row["share"])) for row in rows]
        print_table(f"a step of {options.batch}", ("program", "ms (min, median, max)", "of the whole step"), cells)
    if options.output is not None:
        write_text(options.output, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
