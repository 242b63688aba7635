"""What a run writes down of the test examples: a line of its records, and its summary."""

import math
import platform
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxvae
from jaxvae.evaluation.bounds.likelihood import summarize
from jaxvae.evaluation.bounds.rounding import density_error
from jaxvae.evaluation.statistics import Estimate
from jaxvae.models.records import Key, Model, Params
from jaxvae.networks.precision import in_force
from jaxvae.runs.choices.data import noun
from jaxvae.runs.choices.priors import PRIORS
from jaxvae.runs.configs.config import Config, ModelConfig
from jaxvae.runs.held_out import HeldOut
from jaxvae.runs.selection import BOUNDS, Selection, nearest_bound
from jaxvae.runs.tables.columns import Columns, own_units

LOST = 0.1  # nats: a prior whose density is off by more on the average is said to be lost


def machine_of(devices: int, precision: str) -> dict[str, Any]:
    """Where a run was trained: backend, kind of device, how many of those there, precision and versions.

    Args:
        devices: how many the steps run on.
        precision: of the networks' products, as the config has it.

    Example:
        >>> machine_of(1, "default")["precision"]
        'float32'
    """
    factors = in_force() if precision == "default" else precision
    there = jax.devices()
    return {
        "backend": jax.default_backend(),
        "kind": there[0].device_kind,
        "devices": devices,
        "devices_there": len(there),
        "precision": str(jnp.result_type(float))
        + ("" if factors in ("default", "float32") else f", {factors} factors"),
        "versions": {"jaxvae": jaxvae.__version__, "jax": jax.__version__, "python": platform.python_version()},
    }


def machine_in_words(machine: Mapping[str, Any]) -> str:
    """The same in a line.

    Example:
        >>> versions = {"jaxvae": "0.1.0", "jax": "0.10.2", "python": "3.11.7"}
        >>> found = {"backend": "gpu", "kind": "H100", "devices": 1, "devices_there": 8, "precision": "float32"}
        >>> machine_in_words({**found, "versions": versions})
        '1 of 8 gpu (H100) devices, float32; jaxvae 0.1.0, jax 0.10.2, Python 3.11.7'
    """
    kind = machine["kind"] if machine["kind"] == machine["backend"] else f"{machine['backend']} ({machine['kind']})"
    of = "" if machine["devices"] == machine["devices_there"] else f" of {machine['devices_there']}"
    many = "device" if machine["devices_there"] == 1 else "devices"
    versions = machine["versions"]
    return (
        f"{machine['devices']}{of} {kind} {many}, {machine['precision']}; jaxvae {versions['jaxvae']}, jax "
        f"{versions['jax']}, Python {versions['python']}"
    )


def parameters_in_words(params: Params) -> str:
    """How many numbers are trained, and in which parts.

    Example:
        >>> parameters_in_words({"encoder": jnp.zeros((30, 50)), "decoder": jnp.zeros(10)})
        '1,510 parameters: encoder 1,500, decoder 10'
    """
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in params.items()}
    parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return f"{sum(sizes.values()):,} parameters: {parts}"


def line_of(
    step: int, epoch: float, estimates: Mapping[str, Estimate], use: Mapping[str, Any], split: str = "test"
) -> dict[str, Any]:
    """A line of metrics.jsonl: every estimate with its standard error, and which latents are in use."""
    record: dict[str, Any] = {"step": step, "epoch": epoch, "split": split}
    for name, estimate in estimates.items():
        record[name], record[f"{name}_standard_error"] = estimate.mean, estimate.standard_error
    return {**record, **use}


def make_summary(
    params: Params,
    values: Mapping[str, np.ndarray],
    use: Mapping[str, Any],
    test: HeldOut,
    *,
    step: int,
    epochs: float,
    samples: int,
) -> dict[str, Any]:
    """What summary.json holds of a run; `values` are those of `per_example` on all test images, or rows."""
    measured = _measured(summarize(values))
    return {
        "step": step,
        "epochs": epochs,
        "test": {
            **measured,
            **_in_own_units(measured, len(test.x), test.columns),
            "samples": samples,
            "images": len(test.x),
            "protocol": test.protocol,
            "seed": test.seed,
            "sha256": test.sha256,
        },
        "kl_per_latent": use.get("kl_per_latent", []),
        "active_units": use.get("active_units"),
        "latents": use.get("latents"),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }


def _in_own_units(
    measured: Mapping[str, Mapping[str, float]], count: int, columns: Columns | None
) -> dict[str, dict[str, Any]]:
    """-log p and -ELBO of the values of a table, beside those of its standardised x."""
    if columns is None or columns.std is None:
        return {}
    bounds = {name: row for name, row in measured.items() if name in ("negative_log_p", "negative_elbo")}
    shifted = {
        name: own_units(Estimate(row["nats"], row["standard_error"], count), columns) for name, row in bounds.items()
    }
    return {
        "own_units": {name: {"nats": row.mean, "standard_error": row.standard_error} for name, row in shifted.items()}
    }


def _measured(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    """What there is of -log p, -ELBO, reconstruction and KL, with their standard errors."""
    rows = {"negative_log_p": ("log_p", -1), "negative_elbo": ("elbo", -1)}
    rows |= {"reconstruction": ("log_likelihood", -1), "kl": ("kl", 1)}
    return {
        row: {"nats": sign * estimates[name].mean, "standard_error": estimates[name].standard_error}
        for row, (name, sign) in rows.items()
        if name in estimates
    }


def chosen(selection: Selection, config: Config, epochs: float) -> dict[str, Any]:
    """What summary.json says of the epoch that is kept, and why; "kept" says it in words.

    Args:
        selection: at the end of the run.
        config: of the run.
        epochs: how many were trained.
    """
    count, best = selection.examples, selection.best
    many = noun(config.data.kind, 2)
    drawn = f"{count:,} validation {many} ({config.validation_fraction:g} of the training {many}, seed {config.seed})"
    if best is None:
        return {"images": count, "kept": f"No epoch had a finite bound on {drawn}: the last one is kept."}
    words = f"Epoch {best.epoch} of {epochs:g} is kept, chosen by validation: the best {BOUNDS[best.bound]} of {drawn},"
    words += f" {-best.mean:.2f} +- {best.standard_error:.2f} nats."
    if selection.over and epochs < config.epochs:
        words += f" Training stopped after {selection.waited} epochs without a better one (patience {config.patience})."
    found = {"epoch": best.epoch, "step": best.step, "bound": best.bound, "images": count, "kept": words}
    return {**found, "nats": -best.mean, "standard_error": best.standard_error}


def compared(
    average: Mapping[str, np.ndarray],
    last: Mapping[str, np.ndarray],
    decay: float,
    say: Callable[[str], None],
    what: str = "image",
) -> dict[str, Any]:
    """What summary.json says of both weights; an average that does worse is said in words, there and by `say`.

    Args:
        average, last: of `per_example` for either, on the same examples with the same noise, so that the mean of the
            differences has a small standard error; more than two of it are worth words.
        decay: of the average.
        say: is given the words.
        what: an example is called.

    Example:
        >>> values = {"log_likelihood": np.array([-3.0, -5.0])}
        >>> found = compared(values, {"log_likelihood": np.array([-2.0, -4.0])}, 0.9, print)
        The moving average (decay 0.9) does worse on the test images than the last weights: by 1.00 +- 0.00 nats per \
image. All that was measured and drawn, and weights.safetensors, are of the average.
        >>> found["last_weights"]["reconstruction"]["nats"]
        3.0
    """
    name = nearest_bound(average)
    lost = np.asarray(last[name], np.float64) - np.asarray(average[name], np.float64)
    mean, error, _ = summarize({"lost": lost})["lost"]
    found: dict[str, Any] = {"weights": f"moving average, decay {decay:g}", "last_weights": _measured(summarize(last))}
    if mean > 2 * error:
        found["warning"] = (
            f"The moving average (decay {decay:g}) does worse on the test {what}s than the last weights: by {mean:.2f} "
            f"+- {error:.2f} nats per {what}. All that was measured and drawn, and weights.safetensors, are of the "
            f"average."
        )
        say(found["warning"])
    return found


def rounded(
    config: ModelConfig, model: Model, params: Params, key: Key, say: Callable[[str], None]
) -> dict[str, dict[str, float | None]]:
    """What summary.json says of a prior that is a flow; one whose density is lost to rounding is said in words.

    The key is consumed.
    """
    if not PRIORS[config.prior].inverted:
        return {}
    error = density_error(model.prior, params, key)
    mean, largest = float(error.mean()), float(error.max())
    if not mean < LOST:
        say(
            f"The density of the prior has lost its digits: log p(z) of 500 draws differs by {mean:.2g} nats (at most "
            f"{largest:.2g}) between drawing z and inverting it, in float32. Do not believe the bounds. A smaller "
            f"--optim.lr, fewer --model.flows or a --optim.clip keep a flow invertible."
        )
    return {"prior_density_error": {"nats": _finite(mean), "largest": _finite(largest)}}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # strict JSON has no other word
