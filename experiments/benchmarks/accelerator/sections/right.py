"""Is it right there? The main job against the CPU's, every way of using the devices, the NaN guard, kill and resume.

main_job: the digits for 30 epochs on the device and, beside it, on the CPU; -ELBO in nats with the standard error over
the test images, which is the measure of the difference. devices: 100 steps by `jit`, `pmap` and a mesh over all
devices, at float32, from the same state. nan_guard: one step in eight has a loss that is no number.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from experiments.benchmarks.accelerator.section import Part, Section
from experiments.benchmarks.accelerator.sections import job
from experiments.benchmarks.accelerator.sections.interrupted import interrupted
from jaxvae.data.protocols import PROTOCOLS

TOLERANCE = 1e-5
BAD = 3  # the step that the NaN guard has to skip


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    return {
        "main_job": Part(main_job, ("device", "cpu", "difference", "within_error")),
        "devices": Part(devices, ("devices", "steps", "loss", "parameters", "equal")),
        "nan_guard": Part(nan_guard, ("skipped_steps", "unchanged", "goes_on", "right")),
        "kill_and_resume": Part(interrupted, ("without_flag",) if jax.default_backend() == "cpu" else
                                ("flag", "with_flag", "without_flag")),
    }  # fmt: skip


def main_job(section: Section) -> None:
    """Where does the main job end, and where on the CPU?"""
    epochs = 2 if section.tiny else 30
    ways: dict[str, dict[str, str]] = {"device": {}, "cpu": {"JAX_PLATFORMS": "cpu"}}
    with tempfile.TemporaryFile("w+") as log:
        running = {
            name: job.started(section.scratch / name, section.scratch / "digits.npz", epochs, epochs, log, **more)
            for name, more in ways.items()
        }
        try:
            for name, process in running.items():  # what follows the summary are pictures
                summary = section.scratch / name / "summary.json"
                job.until(summary.exists, process, section, log)
        finally:
            for process in running.values():
                process.kill()
                process.wait()
    found = {name: _negative_elbo(section.scratch / name) for name in ways}
    difference = found["device"]["nats"] - found["cpu"]["nats"]
    error = found["cpu"]["standard_error"]
    section.note(**found, difference=difference, within_error=abs(difference) <= error)
    section.row(
        f"digits, {epochs} epochs: -ELBO here and on the CPU, nats",
        f"{found['device']['nats']:.3f} and {found['cpu']['nats']:.3f} ± {error:.2f}",
    )


def _negative_elbo(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "summary.json").read_text())["test"]["negative_elbo"]
    return found


def _small(batch: int, mode: str, loss: Any = None) -> tuple[Any, Any, np.ndarray]:
    """(steps, first state, images) of a small VAE that learns 8x8 pictures of random grey levels."""
    shape = (8, 8, 1)
    encoder, decoder = jaxvae.MLPEncoder(4, hidden=(32,)), jaxvae.MLPDecoder(shape, hidden=(32,))
    model = jaxvae.vae(encoder, decoder, event_shape=shape, latent_dim=4)
    optimizer, wrap = jaxvae.make_optimizer("adam", 1e-3), loss or (lambda plain: plain)
    images = np.random.default_rng(0).integers(0, 256, (8 * batch, *shape)).astype(np.uint8)
    compiled = jaxvae.compile_steps(
        wrap(jaxvae.bound_loss(model)), optimizer, PROTOCOLS["grey"], batch_size=batch, steps_per_call=8, mode=mode
    )
    return compiled, jaxvae.init_state(model, optimizer, jax.random.key(0), jnp.zeros(shape)), images


def devices(section: Section) -> None:
    """Do `jit`, `pmap` and a mesh compute the same?"""
    count, steps = jax.local_device_count(), 10 if section.tiny else 100
    found: dict[str, tuple[np.ndarray, Any]] = {}
    with jax.default_matmul_precision("float32"):
        for mode in ("jit", "pmap", "mesh"):
            compiled, state, images = _small(16 * count, mode)
            losses: list[float] = []
            for report in jaxvae.train(compiled, state, images, steps):
                losses.extend(report.metrics["loss"])
                params = jax.device_get(report.state.params)
            found[mode] = np.array(losses), params
    loss = {mode: float(np.abs(found[mode][0] / found["jit"][0] - 1).max()) for mode in ("pmap", "mesh")}
    parameters = {mode: largest(found[mode][1], found["jit"][1]) for mode in ("pmap", "mesh")}
    worst = max(*loss.values(), *parameters.values())
    section.note(devices=count, steps=steps, loss=loss, parameters=parameters, equal=worst <= TOLERANCE)
    section.row(f"jit, pmap and mesh on {count} device(s), {steps} steps: largest difference", f"{worst:.1e}")


def largest(a: Any, b: Any) -> float:
    """The largest difference between two trees of arrays."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.abs(np.float64(x) - np.float64(y)).max()) for x, y in pairs)


def nan_guard(section: Section) -> None:
    """Is a bad step skipped, bit for bit, and does training go on?"""

    def broken(loss: Any) -> Any:
        def wrapped(params: Any, keys: Any, batch: Any, step: Any) -> Any:
            value, metrics = loss(params, keys, batch, step)
            return value * jnp.where(step == BAD, jnp.nan, 1.0), metrics

        return wrapped

    compiled, state, images = _small(16, "jit", broken)
    trees, skipped = [jax.device_get(state.params)], []
    for report in jaxvae.train(compiled, state, images, 8, steps_per_call=1):
        trees.append(jax.device_get(report.state.params))
        skipped += [step for step in (report.step - 1,) if report.metrics["skipped"][0]]
    unchanged = largest(trees[BAD + 1], trees[BAD]) == 0
    goes_on = all(0 < largest(trees[i + 1], trees[i]) < np.inf for i in range(8) if i != BAD)
    right = skipped == [BAD] and unchanged and goes_on
    section.note(skipped_steps=skipped, unchanged=unchanged, goes_on=goes_on, right=right)
    section.row("a step with a NaN is skipped and training goes on", "yes" if right else "NO")
