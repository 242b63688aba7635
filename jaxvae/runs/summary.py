"""What a run writes down of the test images: a line of its records, and its summary."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxvae.evaluation.bounds.likelihood import Estimate, summarize
from jaxvae.models.records import Params
from jaxvae.runs.held_out import HeldOut


def line_of(step: int, epoch: float, estimates: Mapping[str, Estimate], use: Mapping[str, Any]) -> dict[str, Any]:
    """A line of metrics.jsonl: every estimate with its standard error, and which latents are in use."""
    record: dict[str, Any] = {"step": step, "epoch": epoch, "split": "test"}
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
    """What summary.json holds of a run; `values` are those of `per_example` on all test images."""
    return {
        "step": step,
        "epochs": epochs,
        "test": {
            **_measured(summarize(values)),
            "samples": samples,
            "images": len(test.x),
            "protocol": test.protocol,
            "seed": test.seed,
            "sha256": test.sha256,
        },
        "kl_per_latent": use.get("kl_per_latent", []),
        "active_units": use.get("active_units"),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
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


def compared(
    average: Mapping[str, np.ndarray], last: Mapping[str, np.ndarray], decay: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """What summary.json says of both weights; an average that does worse is said in words, there and by `say`.

    Args:
        average, last: of `per_example` for either, on the same examples with the same noise, so that the mean of the
            differences has a small standard error; more than two of it are worth words.
        decay: of the average.
        say: is given the words.

    Example:
        >>> values = {"log_likelihood": np.array([-3.0, -5.0])}
        >>> found = compared(values, {"log_likelihood": np.array([-2.0, -4.0])}, 0.9, print)
        The moving average (decay 0.9) does worse on the test images than the last weights: by 1.00 +- 0.00 nats per \
image. All that was measured and drawn, and weights.safetensors, are of the average.
        >>> found["last_weights"]["reconstruction"]["nats"]
        3.0
    """
    name = next(name for name in ("log_p", "elbo", "log_likelihood") if name in average)  # the nearest to log p(x)
    lost = np.asarray(last[name], np.float64) - np.asarray(average[name], np.float64)
    mean, error, _ = summarize({"lost": lost})["lost"]
    found: dict[str, Any] = {"weights": f"moving average, decay {decay:g}", "last_weights": _measured(summarize(last))}
    if mean > 2 * error:
        found["warning"] = (
            f"The moving average (decay {decay:g}) does worse on the test images than the last weights: by {mean:.2f} "
            f"+- {error:.2f} nats per image. All that was measured and drawn, and weights.safetensors, are of the "
            f"average."
        )
        say(found["warning"])
    return found
