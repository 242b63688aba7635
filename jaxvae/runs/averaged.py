"""What a run says of its moving average: how the averaged weights and the last ones do on the same test images."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxvae.evaluation.bounds.likelihood import summarize
from jaxvae.runs.measure import measured


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
    name = "elbo" if "elbo" in average else "log_likelihood"  # an autoencoder has no bound
    lost = np.asarray(last[name], np.float64) - np.asarray(average[name], np.float64)
    mean, error, _ = summarize({"lost": lost})["lost"]
    found: dict[str, Any] = {"weights": f"moving average, decay {decay:g}", "last_weights": measured(summarize(last))}
    if mean > 2 * error:
        found["warning"] = (
            f"The moving average (decay {decay:g}) does worse on the test images than the last weights: by {mean:.2f} "
            f"+- {error:.2f} nats per image. All that was measured and drawn, and weights.safetensors, are of the "
            f"average."
        )
        say(found["warning"])
    return found
