"""Numbers that cannot be printed without their setting: what was measured, on which data, with how many samples."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import positive_integer, shown
from jaxvae.evaluation.bounds.likelihood import (
    Estimate,
    bits_per_dimension,
    has_bound,
    per_example,
    sample_counts,
    summarize,
)
from jaxvae.evaluation.latents.codes import active_latents, encode
from jaxvae.models.contexts import count_examples
from jaxvae.models.records import Model, Params
from jaxvae.networks.precision import in_words

Array = jax.Array


class Setting(NamedTuple):
    """Under which circumstances a number was measured.

    Attributes:
        data: which examples, as "mnist/test".
        examples: how many of them were used, the first ones; of: how many there are.
        protocol: how x came from the raw data, in words.
        seed: of the draw of x and of all samples.
        sha256: of the whole draw of x.
        samples: posterior samples for each example, or chains and temperatures, in words.
        precision: of the networks' products, in words where it is not JAX's own; `evaluate` fills it in.
    """

    data: str
    examples: int
    of: int
    protocol: str
    seed: int
    sha256: str
    samples: str = ""
    precision: str = ""

    def __str__(self) -> str:
        count = f"first {self.examples} of {self.of}" if self.examples < self.of else f"all {self.of}"
        words = [f"{self.data}, {count} examples", self.protocol, self.samples, self.precision, f"seed {self.seed}"]
        return ", ".join(word for word in [*words, f"sha256 {self.sha256[:12]}"] if word)


class Measured(NamedTuple):
    """A mean over examples with its standard error, its unit and its setting; printed, it says all of them.

    Example:
        >>> setting = Setting("mnist/test", 100, 10000, "threshold", 0, "c0ffee", "K = 50")
        >>> print(Measured("-ELBO", Estimate(97.314, 0.23, 100), "nats", setting))
        -ELBO 97.31 +- 0.23 nats (mnist/test, first 100 of 10000 examples, threshold, K = 50, seed 0, sha256 c0ffee)
    """

    name: str
    estimate: Estimate
    unit: str
    setting: Setting

    def __str__(self) -> str:
        return f"{self.name} {self.number} {self.unit} ({self.setting})"

    def __repr__(self) -> str:
        return str(self)

    @property
    def number(self) -> str:
        """Mean and standard error, for a table that states the setting once."""
        digits = 4 if self.unit == "bits" else 2
        error = self.estimate.standard_error
        return f"{self.estimate.mean:.{digits}f}" + (f" +- {error:.{digits}f}" if np.isfinite(error) else "")


def evaluate(
    model: Model,
    params: Params,
    x: Any,
    setting: Setting,
    *,
    samples: int | Sequence[int] = 50,
    bin_width: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Measured]:
    """All numbers of a trained model on held-out examples, each with its standard error and its setting.

    Args:
        model, params: the model and its parameters.
        x: held-out examples with leading axis [of]; the first setting.examples are used.
        setting: what x is; its seed makes the key of the samples.
        samples: K of the importance-weighted bound, or several.
        bin_width: gives bits per dimension, see `bits_per_dimension`: 1 where the likelihood is a probability, 1/256
            for dequantised pixels on [0, 1]. None where x has no discrete values, and bits would mean nothing.
        progress: called with the number of examples done.

    Returns:
        -ELBO, -IW-K for each K, rate and distortion (nats); bits per dimension from the tightest bound; active units
        (Var_x E[z | x] > 0.01) with the spread over examples left out; effective samples. For a deterministic
        autoencoder the distortion only.

    Raises:
        ValueError, TypeError: as `per_example` and `bits_per_dimension`, or for a setting that does not fit x.

    Source: Burda et al., 2016, arXiv 1509.00519; rate and distortion: Alemi et al., 2018, arXiv 1711.00464.

    Example:
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((4, 4, 1)), event_shape=(4, 4, 1), latent_dim=2)
        >>> x = np.zeros((3, 4, 4, 1), np.float32)
        >>> setting = Setting("zeros", 3, 3, "grey", 0, "c0ffee")
        >>> rows = evaluate(model, model.init(jax.random.key(0), x[0]), x, setting, samples=5, bin_width=1.0)
        >>> [row.name for row in rows]
        ['-ELBO', '-IW-5', 'rate', 'distortion', 'bits per dimension', 'active units', 'effective samples']
    """
    if not isinstance(setting, Setting):
        raise TypeError(f"setting is {shown(setting)}, expected a Setting(data, examples, of, protocol, seed, sha256).")
    count, given = positive_integer("examples", setting.examples), count_examples(x, "x")
    if given != setting.of or count > given:
        raise ValueError(
            f"x has {given} examples and the setting says {count} of {setting.of}, expected examples <= of = {given}."
        )
    x = jax.tree.map(lambda leaf: leaf[:count], x)
    counts = sample_counts(samples)
    setting = setting._replace(precision=in_words())
    here = functools.partial(_measured, setting)
    key = jax.random.key(setting.seed)
    if not has_bound(model, params, x):
        found = summarize(per_example(model, params, key, x, progress=progress))
        return [here("distortion", negative(found["log_likelihood"]), "nats", 1)]
    values = per_example(model, params, key, x, samples=counts, progress=progress)
    found = summarize(values)
    largest = counts[-1]
    rows = [here("-ELBO", negative(found["elbo"]), "nats", largest)]
    rows += [here(f"-IW-{k}", negative(found[f"iwae_{k}"]), "nats", k) for k in counts]
    rows += [here("rate", found["kl"], "nats", largest)]
    rows += [here("distortion", negative(found["log_likelihood"]), "nats", largest)]
    if bin_width is not None:
        rows.append(here("bits per dimension", _bits(model, found["iwae"], bin_width), "bits", largest))
    if model.posterior.distribution is not None:
        active = active_latents(encode(model, params, x).mean)
        rows.append(here("active units", Estimate(float(active.sum()), np.nan, count), f"of {active.size}", 0))
    if largest > 1:
        rows.append(here("effective samples", found["effective_samples"], f"of {largest}", largest))
    return rows


def negative(estimate: Estimate) -> Estimate:
    """Minus an estimate."""
    return estimate._replace(mean=-estimate.mean)


def _bits(model: Model, estimate: Estimate, bin_width: float) -> Estimate:
    dimensions = int(np.prod(model.event_shape))
    mean = bits_per_dimension(estimate.mean, dimensions, bin_width=bin_width)
    error = estimate.standard_error / (dimensions * np.log(2.0))
    return Estimate(mean, float(error), estimate.examples)


def _measured(setting: Setting, name: str, estimate: Estimate, unit: str, samples: int) -> Measured:
    words = f"K = {samples}" if samples else setting.samples
    return Measured(name, estimate, unit, setting._replace(samples=words))
