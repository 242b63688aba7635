"""Examples/s of the MLP 784-400-20 and the conv VAE at three batches, as float32, TF32 and bfloat16 factors.

Beside each precision stands its floor, the step's products alone. Beside the scanned epoch, all at TF32: a loop over
steps from Python; the step by hand, in a loop whose length is an argument (`bare_scan`) or known to XLA; and the peers,
numpyro in this process, PyTorch (eager, compiled) and pythae in theirs. All take turns. On a GPU native convolutions
round to TF32 at most: at bfloat16 only the dense layers round further. `rates` are [lowest, median, highest] over the
rounds. elbo: test -ELBO in nats after the same steps at each precision, measured at float32, and the mean difference to
float32 with its standard error.
"""

import contextlib
import functools
import importlib
import importlib.util
import subprocess
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import jaxvae
from experiments.benchmarks import speed
from experiments.benchmarks.accelerator.section import OutOfTime, Part, Section
from experiments.benchmarks.accelerator.sections.turns import Contender, local, remote, take_turns
from experiments.benchmarks.contenders import jaxvae_train, products
from jaxvae.networks.precision import matmul_precision

PRECISIONS = ("tensorfloat32", "float32", "bfloat16")
OWN = (
    *(f"jaxvae_train@{name}" for name in PRECISIONS),
    *(f"products@{name}" for name in PRECISIONS),
    "step_loop@tensorfloat32",
    "bare_scan@tensorfloat32",
    "bare_known_scan@tensorfloat32",
)
PEERS = {"torch_eager": "torch", "torch_compiled": "torch", "pythae_trainer": "pythae"}
SETTINGS = (("mlp", 128), ("conv", 128), ("mlp", 1024), ("conv", 1024), ("mlp", 8192), ("conv", 8192))
NUMBERS = ("examples", "rates", "first_epoch_loss", "left_out", "share_of_floor", "scan_over_loop", "gigaflops")
FEW = 128  # a batch, above which what a loop costs a step is no question
PATIENCE = 60.0  # seconds that a peer may take to start or to compile


def parts(tiny: bool) -> dict[str, Part]:
    """By name."""
    settings = (("mlp", 4), ("conv", 2)) if tiny else SETTINGS
    made = {f"{model}_{size}": Part(functools.partial(setting, model=model, batch=size), NUMBERS)
            for model, size in settings}  # fmt: skip
    first, *others = made
    elbo = Part(negative_elbo, ("steps", "negative_elbo", "against_float32", "within_a_tenth"))
    return {first: made[first], "elbo": elbo, **{name: made[name] for name in others}}


def setting(section: Section, model: str, batch: int) -> None:
    """One model at one batch."""
    images = np.load(section.scratch / "train.npy", mmap_mode="r", allow_pickle=False)
    images = np.array(images[: 2 * batch if section.tiny else len(images) // batch * batch])
    np.save(section.scratch / "whole_batches.npy", images, allow_pickle=False)
    name_of_model: Any = model
    options = speed.Options(model=name_of_model, batch=batch, processors=0)
    left_out = dict(absent(section.python_peers))
    with contextlib.ExitStack() as stack:
        started = {
            name: stack.enter_context(
                speed.started(f"{name}@tensorfloat32", section.python_peers,
                              section.scratch / "whole_batches.npy", options)
            )
            for name in PEERS if name not in left_out
        }  # fmt: skip
        for runner in started.values():
            runner.ask()  # so that it compiles while the others do
        contenders: list[Contender] = []
        own = OWN + (() if "numpyro_svi" in left_out else ("numpyro_svi@tensorfloat32",))
        if batch > FEW:
            own = tuple(name for name in own if not name.startswith("bare"))
        if section.tiny and model == "conv":  # compiling takes long
            own = tuple(name for name in own if name.endswith("@tensorfloat32"))
        for name in own:
            make = functools.partial(local, name, images, model, batch)
            _add(section, contenders, left_out, name, make)
        for name, runner in started.items():
            patience = min(PATIENCE, section.left() / 4)
            _add(section, contenders, left_out, f"{name}@tensorfloat32", functools.partial(remote, runner, patience))
        take_turns(contenders, section.left, rounds=2 if section.tiny else 5, seconds=0.0 if section.tiny else 0.1)
    _note(section, model, batch, len(images), contenders, left_out)
    if failed := [name for name in OWN if name in left_out and not left_out[name].startswith("no time")]:
        raise RuntimeError(f"{failed[0]}: {left_out[failed[0]]}")


def _add(section: Section, contenders: list[Contender], left_out: dict[str, str], name: str, make: Any) -> None:
    """Makes a contender and warms it up, or says why it is left out."""
    try:
        section.need(2.0)
        contender = make()
        contender.warm_up()
        contenders.append(contender)
    except OutOfTime as error:
        left_out[name] = f"no time: {error}"
    except Exception as error:
        left_out[name] = f"{type(error).__name__}: {error}"[:300]


@functools.cache
def absent(python_peers: str) -> Mapping[str, str]:
    """The peers that are not installed, with a line on each."""
    found = {} if importlib.util.find_spec("numpyro") else {"numpyro_svi": "numpyro"}
    for name, package in PEERS.items():
        look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
        if subprocess.run([python_peers, "-c", look], capture_output=True).returncode:
            found[name] = package
    return {name: f"{package} is not installed: {speed.INSTALL[package]}" for name, package in found.items()}


def _note(
    section: Section, model: str, batch: int, examples: int, contenders: list[Contender], left_out: dict[str, str]
) -> None:
    rates = {one.name: one.span for one in contenders if one.rates}
    middle = {name: row[1] for name, row in rates.items()}

    def ratio(name: str, other: str) -> float | None:
        return middle[name] / middle[other] if name in middle and other in middle else None

    flops = sum(2 * m * k * n for m, k, n in products.shapes(model, batch)) / batch
    section.note(
        examples=examples,
        rates=rates,
        first_epoch_loss={one.name: one.losses[0] for one in contenders if not one.name.startswith("products")},
        left_out=left_out,
        share_of_floor={name: ratio(f"jaxvae_train@{name}", f"products@{name}") for name in PRECISIONS},
        scan_over_loop=ratio("jaxvae_train@tensorfloat32", "step_loop@tensorfloat32"),
        gigaflops={name: rate * flops / 1e9 for name, rate in middle.items()},
    )
    for name in PRECISIONS:
        if (share := ratio(f"jaxvae_train@{name}", f"products@{name}")) is not None:
            figure = f"{middle[f'jaxvae_train@{name}']:,.0f}, {share:.2f} of the products alone"
            section.row(f"{model}, batch {batch}, {name}: examples/s", figure)
    others = [name for name in middle if not name.startswith(("jaxvae_train", "products"))]
    times = {name.partition("@")[0]: ratio("jaxvae_train@tensorfloat32", name) for name in others}
    words = ", ".join(f"{name} {value:.2f}" for name, value in times.items() if value is not None)
    section.row(f"{model}, batch {batch}: times as fast as, at TF32", words or "nobody was measured")


def negative_elbo(section: Section) -> None:
    """Does it matter for the bound?"""
    images, test = (np.load(section.scratch / f"{name}.npy", allow_pickle=False) for name in ("train", "test"))
    batch, epochs = (16, 1) if section.tiny else (128, 2)
    images = images[: 4 * batch] if section.tiny else images
    vae, steps = jaxvae_train.networks("mlp", images.shape[1:]), epochs * (len(images) // batch)
    x = (test[:20] if section.tiny else test).astype(np.float32) / np.float32(255)
    values: dict[str, np.ndarray] = {}
    for name in PRECISIONS:
        training: Any = jaxvae_train.reports(vae, images, batch)
        with matmul_precision(name):
            report = next(report for report in training if report.step >= steps)
        with matmul_precision("float32"):
            values[name] = jaxvae.per_example(vae, report.state.params, jax.random.key(0), x, samples=8)["elbo"]
    against = {name: values["float32"] - values[name] for name in PRECISIONS}
    means = {name: [float(d.mean()), float(d.std(ddof=1) / len(d) ** 0.5)] for name, d in against.items()}
    section.note(
        steps=steps,
        negative_elbo={name: -float(value.mean()) for name, value in values.items()},
        against_float32=means,
        within_a_tenth={name: abs(mean) <= 0.1 for name, (mean, _) in means.items()},
    )
    for name, (mean, error) in means.items():
        section.row(f"mlp, {steps} steps of {batch}, {name}: -ELBO, nats", f"{-values[name].mean():.2f}, "
                    f"{mean:+.3f} ± {error:.3f} against float32")  # fmt: skip
