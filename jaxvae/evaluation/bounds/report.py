"""All numbers of a trained model at once, each with its standard error and its setting."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxvae.checks import positive_integer, shown
from jaxvae.data.splits import some_rows
from jaxvae.evaluation.bounds.likelihood import TIGHTEST, bits_per_dimension, per_example, sample_counts, summarize
from jaxvae.evaluation.latents.codes import active_latents, encode
from jaxvae.evaluation.measured import Measured, Setting
from jaxvae.evaluation.statistics import Estimate
from jaxvae.models.contexts import count_examples
from jaxvae.models.events import event_size
from jaxvae.models.records import Model, Params
from jaxvae.networks.precision import in_words

Array = jax.Array


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
        x: held-out examples with leading axis [of]; setting.examples of them are used, by a fixed permutation.
        setting: what x is; its seed makes the key of the samples.
        samples: K of the importance-weighted bound, or several.
        bin_width: gives bits per dimension, see `bits_per_dimension`: 1 where the likelihood is a probability, 1/256
            for dequantised pixels on [0, 1]. None where x has no discrete values, and bits would mean nothing.
        progress: called with the number of examples done.

    Returns:
        By the evidence of the model, each row saying whether it is exact, a bound or an importance bound:
        "weights": -ELBO, -IW-K for each K, rate and distortion (nats); bits per dimension from the tightest bound;
        active units (Var_x E[z | x] > 0.01) with the spread over examples left out; effective samples.
        "exact": -log p in one pass, and bits per dimension.
        "bound": -ELBO with the Monte Carlo error that K samples of each example leave in that mean, rate and
        distortion, bits per dimension.
        "none": the distortion, and the rate where there is a KL.

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
    chosen = some_rows(given, count)
    x = jax.tree.map(lambda leaf: leaf[chosen], x)
    counts = sample_counts(samples)
    setting = setting._replace(precision=in_words())
    if model.evidence in ("exact", "none"):
        counts = (1,)
    values = per_example(model, params, jax.random.key(setting.seed), x, samples=counts, progress=progress)
    active = which_active(model, params, x)
    return report_rows(model, values, setting, counts=counts, bin_width=bin_width, active=active)


def report_rows(
    model: Model,
    values: Mapping[str, np.ndarray],
    setting: Setting,
    *,
    counts: Sequence[int],
    bin_width: float | None = None,
    active: np.ndarray | None = None,
) -> list[Measured]:
    """The rows of `evaluate` from what `per_example` found on the setting's examples, so that both can be had of one.

    Args:
        model: of the values.
        values: of `per_example` with several samples, (K,) of one.
        setting: of all of them.
        counts: those K, ascending.
        bin_width: as in `evaluate`.
        active: which latents are, [Z] bool, if that is known.
    """
    found, largest, count = summarize(values), counts[-1], setting.examples
    passes = "one pass" if model.evidence == "exact" else f"K = {largest}"

    def row(name: str, estimate: Estimate, unit: str = "nats", *, words: str = passes, evidence: str = "") -> Measured:
        return Measured(name, estimate, unit, setting._replace(samples=words, evidence=evidence))

    rows = []
    if "log_p" in found:
        rows.append(row("-log p", negative(found["log_p"]), evidence=TIGHTEST["log_p"]))
    if "elbo" in found:
        rows.append(row("-ELBO", negative(found["elbo"]), evidence=TIGHTEST["elbo"]))
    if "monte_carlo_error" in found:
        errors = values["monte_carlo_error"].astype(np.float64)
        rows.append(row("Monte Carlo error", Estimate(float(np.linalg.norm(errors)) / count, np.nan, count)))
    if "iwae" in found:
        bounds = {k: negative(found[f"iwae_{k}"]) for k in counts}
        rows += [row(f"-IW-{k}", bounds[k], words=f"K = {k}", evidence=TIGHTEST["iwae"]) for k in counts]
    if "kl" in found:
        rows.append(row("rate", found["kl"]))
    if "log_likelihood" in found:
        rows.append(row("distortion", negative(found["log_likelihood"])))
    best = next((name for name in TIGHTEST if name in found), None)
    if bin_width is not None and best is not None:
        # The exact density of a value with noise only bounds the probability of the value (Theis et al., 2016).
        evidence = "bound" if bin_width != 1.0 and TIGHTEST[best] == "exact" else TIGHTEST[best]
        words = passes if bin_width == 1.0 else f"{passes}, uniform noise of width {bin_width:.4g}"
        bits = _bits(model, found[best], bin_width)
        rows.append(row("bits per dimension", bits, "bits", words=words, evidence=evidence))
    if active is not None:
        used = Estimate(float(active.sum()), np.nan, count)
        rows.append(row("active units", used, f"of {active.size}", words=setting.samples))
    if "effective_samples" in found:
        rows.append(row("effective samples", found["effective_samples"], f"of {largest}"))
    return rows


def which_active(model: Model, params: Params, x: Any) -> np.ndarray | None:
    """Which latents are active on the examples, [Z] bool; None of a model without a posterior over them."""
    if model.evidence != "weights" or model.posterior.distribution is None:
        return None
    return active_latents(encode(model, params, x).mean)


def negative(estimate: Estimate) -> Estimate:
    """Minus an estimate."""
    return estimate._replace(mean=-estimate.mean)


def _bits(model: Model, estimate: Estimate, bin_width: float) -> Estimate:
    dimensions = event_size(model.event_shape)
    mean = bits_per_dimension(estimate.mean, dimensions, bin_width=bin_width)
    error = estimate.standard_error / (dimensions * np.log(2.0))
    return Estimate(mean, float(error), estimate.examples)
