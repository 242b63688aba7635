"""What was measured on the test examples: bounds on log p(x), and which of them are strange."""

import jax
import numpy as np

from jaxvae.evaluation import results
from jaxvae.evaluation.anomaly.roc import auroc_interval
from jaxvae.evaluation.bounds.likelihood import per_example
from jaxvae.evaluation.bounds.report import evaluate
from jaxvae.evaluation.plots.figures import BLUE, new_axes, style
from jaxvae.evaluation.plots.image_grids import unit_images
from jaxvae.evaluation.written import Written, written
from jaxvae.models.records import Model, Params
from jaxvae.runs.held_out import HeldOut, bin_width, setting_of
from jaxvae.runs.page.drawing import chart, images
from jaxvae.runs.page.facts import Facts, attempt
from jaxvae.runs.page.html import Html, absent, figures, joined, note, paragraph, section, table, tag
from jaxvae.runs.page.training import number
from jaxvae.runs.tables.columns import OWN, Columns, in_own_units

SCORES = {
    "log_p": (-1, "\N{MINUS SIGN}log p(x)"),
    "iwae": (-1, "\N{MINUS SIGN}log p(x), bound"),
    "elbo": (-1, "\N{MINUS SIGN}ELBO"),
    "log_likelihood": (-1, "reconstruction"),
    "kl": (1, "KL"),
}

ROWS, COLUMNS = 10, 8  # of the strangest rows of a table
PARTS = "Rate: the KL; distortion: what the reconstruction costs; they add up to \N{MINUS SIGN}ELBO."
MEANINGS = {
    "exact": "\N{MINUS SIGN}log p is exact: one pass, and nothing to estimate but its mean over images.",
    "weights": "\N{MINUS SIGN}IW-K: the importance-weighted bound with K samples, lower and nearer to "
    f"\N{MINUS SIGN}log p(x) than \N{MINUS SIGN}ELBO. {PARTS}",
    "bound": "\N{MINUS SIGN}ELBO is above \N{MINUS SIGN}log p(x) on average over samples, whose Monte Carlo error is "
    f"given; no bound of this model rises with K. {PARTS}",
    "none": "",
}


def likelihood(facts: Facts, samples: int, limit: int) -> Html:
    """The table of bounds, each with its standard error and its setting."""
    title = "Likelihood"
    if facts.run is None or facts.held_out is None:
        return section(title, absent(f"No bounds were measured. {facts.no_run or facts.no_held_out}"))
    model, params, config = facts.run
    setting = setting_of(config.data, facts.held_out, limit)
    x = facts.held_out.given(model)
    found, why = attempt(lambda: evaluate(model, params, x, setting, samples=samples, bin_width=bin_width(config)))
    if found is None:
        return section(title, absent(f"No bounds could be measured. {why}"))
    rows, noun = in_own_units(found, facts.held_out.columns), facts.held_out.noun
    results.note(results.Table("likelihood", ("quantity", "mean"), [(row.name, row) for row in rows]))
    cells = [
        [
            row.name.replace("-", "\N{MINUS SIGN}", 1),
            row.number.replace("-", "\N{MINUS SIGN}"),
            row.unit,
            row.setting.evidence,
            row.setting.samples or "one pass",
        ]
        for row in rows
    ]
    headers = ["quantity", "mean \N{PLUS-MINUS SIGN} s.e.", "unit", "of log p(x)", f"samples per {noun}"]
    caption = f"{setting}. {MEANINGS[model.evidence]}"
    if len(rows) > len(found):
        caption += f" In own units: of the {OWN}, that is, plus the sum of log std of the columns; the others are of x."
    without = "This model, such as a deterministic autoencoder, has no likelihood and so no bound."
    notes = [note(without)] if model.evidence == "none" else []
    return section(title, table(headers, cells, caption, numbers=headers[1]), *notes)


def anomalies(facts: Facts, limit: int) -> Html:
    """The strangest test images, and how well spoilt ones are told from whole ones."""
    title = "Anomalies"
    if facts.run is None or facts.held_out is None:
        return section(title, absent(f"No scores were made. {facts.no_run or facts.no_held_out}"))
    model, params, _ = facts.run
    some = facts.held_out.some(limit)
    x = some.x
    found, why = attempt(lambda: _scores(model, params, some))
    if found is None:
        return section(title, absent(f"No scores could be made. {why}"))
    name = next(iter(found))
    order = np.argsort(-found[name])
    count = min(18, len(x) // 12 * 6) or max(1, len(x) // 2)  # rows of six, or one shorter row
    label = SCORES[name][1]
    if some.columns is not None:
        extremes = _strange_rows(some, some.columns, found[name], order[:ROWS], label)
        return section(title, figures(_histogram(found[name], label, "rows")), extremes)
    unit, width = unit_images("images", some.raw[np.concatenate([order[:count], order[::-1][:count]])]), min(6, count)
    extremes = images(
        unit.reshape(-1, width, *unit.shape[1:]),
        "strange test images above ordinary ones",
        f"Above: the {count} of {len(x):,} test images with the highest {label} "
        f"({number(found[name][order[0]], digits=0)} nats for the first). Below: the {count} with the lowest.",
        apart=count // width,
    )
    return section(
        title,
        figures(_histogram(found[name], label, "images"), extremes),
        tag("h3", "Would it notice?"),
        joined(*_detected(model, params, some, found)),
    )


def _scores(model: Model, params: Params, test: HeldOut) -> dict[str, np.ndarray]:
    """The scores that the model has, higher is stranger, in nats."""
    samples = 1 if model.evidence in ("exact", "none") else 10
    values = per_example(model, params, jax.random.key(test.seed), test.given(model), samples=samples)
    if "iwae" in values:
        del values["elbo"]  # the looser bound
    return {name: sign * values[name].astype(np.float64) for name, (sign, _) in SCORES.items() if name in values}


def _strange_rows(test: HeldOut, columns: Columns, scores: np.ndarray, order: np.ndarray, label: str) -> Html:
    """The rows of highest score with their values, of the columns that are furthest from their mean in any of them."""
    chosen = np.sort(np.argsort(-np.abs(test.x[order] - test.x.mean(0)).max(0), kind="stable")[:COLUMNS])
    names = [columns.names[i] for i in chosen]
    rows = [[number(scores[i], digits=1), *(f"{value:.4g}" for value in test.raw[i][chosen])] for i in order]
    few = f" {len(names)} of {len(columns.names)} columns are shown." if len(names) < len(columns.names) else ""
    caption = f"The {len(order)} of {len(test.x):,} test rows with the highest {label}, in the table's own units.{few}"
    return table([label, *names], rows, caption, numbers="|".join([label, *names]))


def _histogram(scores: np.ndarray, label: str, what: str) -> Html:
    figure, ax = new_axes(4.6, 2.7)
    ax.hist(scores, bins=min(40, max(5, len(scores) // 8)), color=BLUE, alpha=0.85)
    style(ax, title=f"{len(scores):,} test {what}", x=f"{label}, nats", y=what)
    return chart(figure, f"histogram of {label} over the test {what}")


def _detected(model: Model, params: Params, test: HeldOut, found: dict[str, np.ndarray]) -> list[str]:
    """AUROC of each score for images that were spoilt; no other data set is needed, nor a likelihood of a kind."""
    x, seed = test.x, test.seed
    rng = np.random.default_rng(seed)
    flat = x.reshape(len(x), -1, x.shape[-1])
    halves = np.arange(x.shape[2])[None, None, :, None] < x.shape[2] // 2
    spoilt = {
        "pixels shuffled": flat[:, rng.permutation(flat.shape[1])].reshape(x.shape),
        "upside down": x[:, ::-1],
        "two halves": np.where(halves, x, np.roll(x, len(x) // 2, axis=0)),
    }
    if len(x) < 4:
        return [absent(f"{len(x)} test images are too few to tell.")]
    rows: list[list[str]] = []
    for kind, other in spoilt.items():
        theirs = _scores(model, params, test._replace(x=np.ascontiguousarray(other)))
        areas = [auroc_interval(found[name], theirs[name]) for name in found]
        rows.append([kind, *[_interval(*area) for area in areas]])
    names = [SCORES[name][1] for name in found]
    caption = (
        f"AUROC with its 95 % interval: {len(x):,} test images against the same images spoilt in three ways; "
        f"1/2 is chance, 1 is sure. Bounds with 10 samples, seed {seed}. A score that fails here is not to be trusted "
        "elsewhere; one that does well here may still fail on other outliers."
    )
    results.note(results.Table("would it notice? AUROC", ("spoilt how", *names), rows, caption))
    intro = "Each score should be higher for what the model has never seen."
    return [paragraph(intro), table(["spoilt how", *names], rows, caption, numbers="|".join(names))]


def _interval(value: float, low: float, high: float) -> Written:
    return written(f"{value:.3f} ({low:.3f}\N{EN DASH}{high:.3f})", value, low=low, high=high)
