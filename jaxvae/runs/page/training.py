"""The head of the page and how the run went."""

from collections.abc import Mapping
from typing import Any

from jaxvae.evaluation.plots.charts import PANELS, loss_curves
from jaxvae.evaluation.plots.figures import new_axes
from jaxvae.runs.choices.data import noun
from jaxvae.runs.choices.kinds import KINDS
from jaxvae.runs.choices.networks import NETWORKS, sized
from jaxvae.runs.configs.config import Config
from jaxvae.runs.page.drawing import chart
from jaxvae.runs.page.facts import Facts
from jaxvae.runs.page.html import Html, absent, figures, joined, key_numbers, note, paragraph, section, tag

NAMES = {"negative_elbo": "\N{MINUS SIGN}ELBO", "reconstruction": "reconstruction", "kl": "KL"}
MEASURED = {"negative_log_p": "\N{MINUS SIGN}log p"} | NAMES  # of a model whose density is exact, the first alone


def number(value: float, error: float | None = None, digits: int = 2) -> str:
    """A number with its standard error, with real minus signs.

    Example:
        >>> number(-1.234, 0.5)
        '\N{MINUS SIGN}1.23 \N{PLUS-MINUS SIGN} 0.50'
    """
    text = f"{value:.{digits}f}" + (f" \N{PLUS-MINUS SIGN} {error:.{digits}f}" if error is not None else "")
    return text.replace("-", "\N{MINUS SIGN}")


def head(facts: Facts) -> Html:
    """The run's name, what it is in a sentence, and its numbers on the test images."""
    config, model = facts.config, facts.config.model
    lead = (
        f"What {config.recipe.name} makes of {', '.join(config.recipe.options) or 'no options'}, trained on "
        f"{config.data.name}, seed {config.seed}."
        if config.recipe.name is not None
        else f"{KINDS[model.kind].about} of {config.data.name}: {', '.join(_parts(config))}, seed {config.seed}."
    )
    return joined(tag("h1", facts.folder.resolve().name), tag("p", lead, class_="lead"), _state(facts), _numbers(facts))


def _parts(config: Config) -> list[str]:
    """What it is made of: its networks, its latents, its likelihood, as far as the kind takes them."""
    model = sized(config.model, config.data.image_shape or ())
    ignored, own = KINDS[model.kind].ignores, KINDS[model.kind].protocols
    chosen, widths = NETWORKS[model.network], model.hidden if model.network == "mlp" else model.features
    sizes = "" if chosen.ignores else f" {'-'.join(map(str, widths))}"
    found = [] if "model.hidden" in ignored else [f"{chosen.about}{sizes}"]
    found += [] if "model.latent_dim" in ignored else [f"{model.latent_dim} latents"]
    return [*found, "a density of its own" if own else f"{model.likelihood.replace('_', ' ')} likelihood"]


def _state(facts: Facts) -> Html:
    """How far the run came, where that is not to its end."""
    if facts.no_summary:
        return note(facts.no_summary, warning=True)
    last = max((record["step"] for record in (*facts.train, *facts.test)), default=0)
    epochs = max((record.get("epoch") or 0 for record in (*facts.train, *facts.test)), default=0)
    if facts.summary:
        done = facts.summary.get("epochs")
        stopped = facts.config.patience is not None and "validation" in facts.summary
        if isinstance(done, int | float) and done < facts.config.epochs and not stopped:
            return note(
                f"The summary is that of {done:g} epochs; {facts.config.epochs} are asked for now.", warning=True
            )
        return Html()
    if not last:
        return note("The run has no records yet: no training has ended a first window of steps.", warning=True)
    return note(
        f"The run was interrupted, or still goes on: the last record is of step {last:,} (epoch {epochs:g} of "
        f"{facts.config.epochs}). The same command goes on with it.",
        warning=True,
    )


def _numbers(facts: Facts) -> Html:
    """-ELBO, reconstruction and KL on the test images, with the setting in which they were measured."""
    found = _of_summary(facts) or _of_record(facts)
    if not found:
        return absent(f"Nothing was measured on test {noun(facts.config.data.kind, 2)} yet.")
    numbers, setting = found
    kept = facts.summary.get("validation", {}).get("kept", "").replace("+-", "\N{PLUS-MINUS SIGN}")
    chosen = [tag("p", kept.replace("-", "\N{MINUS SIGN}"), class_="caption")] if kept else []
    return joined(key_numbers(numbers), tag("p", setting, class_="caption"), *chosen, _weights(facts.summary))


def _weights(summary: Mapping[str, Any]) -> Html:
    """Which weights all of it is of, where the run keeps an average of them, and how the last ones do."""
    last = summary.get("last_weights")
    if not isinstance(last, dict):
        return Html()
    rows = [(name, last[name]) for name in MEASURED if isinstance(last.get(name), dict) and "nats" in last[name]]
    found = [f"{MEASURED[name]} {number(row['nats'], row.get('standard_error'))}" for name, row in rows]
    words = (
        f"All of it is of the {summary.get('weights', 'moving average')}. The last weights: {', '.join(found)} nats."
    )
    bad = [note(str(summary["warning"]), warning=True)] if summary.get("warning") else []
    return joined(tag("p", words, class_="caption"), *bad)


def _of_summary(facts: Facts) -> tuple[list[tuple[str, str, str]], str] | None:
    test = facts.summary.get("test")
    if not isinstance(test, dict):
        return None
    numbers = [
        (MEASURED[name], number(test[name]["nats"]), _with_error(test[name].get("standard_error")))
        for name in MEASURED
        if name in test
    ]
    own = test.get("own_units")
    for name, row in own.items() if isinstance(own, dict) else ():
        if name in MEASURED and isinstance(row, dict) and "nats" in row:
            said = f"{MEASURED[name]} in own units"
            numbers.insert(1, (said, number(row["nats"]), _with_error(row.get("standard_error"))))
    parameters = facts.summary.get("parameters")
    if parameters:
        numbers.append(("parameters", f"{parameters:,}", ""))
    setting = (
        f"Nats per example, mean \N{PLUS-MINUS SIGN} standard error over {test['images']:,} test "
        f"{noun(facts.config.data.kind, 2)} of {facts.config.data.name} ({test['protocol']}), {test['samples']} "
        f"posterior sample(s) each, seed {test['seed']}, sha256 {str(test['sha256'])[:12]}; after "
        f"{facts.summary.get('epochs', 0):g} epochs."
    )
    return numbers, setting


def _of_record(facts: Facts) -> tuple[list[tuple[str, str, str]], str] | None:
    if not facts.test:
        return None
    record = facts.test[-1]
    numbers = []
    for (name, sign, _), title in zip(PANELS, NAMES.values(), strict=True):
        if record.get(name) is not None:
            error = record.get(f"{name}_standard_error")
            numbers.append((title, number(sign * record[name]), _with_error(error)))
    setting = (
        f"Nats per example, mean \N{PLUS-MINUS SIGN} standard error over the test "
        f"{noun(facts.config.data.kind, 2)} of {facts.config.data.name}, "
        f"{facts.config.test_samples} posterior sample(s) each; after {record.get('epoch', 0):g} epochs."
    )
    return (numbers, setting) if numbers else None


def _with_error(error: float | None) -> str:
    return "nats" if error is None else f"\N{PLUS-MINUS SIGN} {error:.2f} nats"


def curves(facts: Facts) -> Html:
    """-ELBO and its two parts over training, a chart each."""
    axes: list[Any] = [new_axes(3.5, 2.7)[1] for _ in PANELS]
    bad = [note(f"metrics.jsonl has {facts.damaged} damaged line(s), left out.", warning=True)] if facts.damaged else []
    kept = facts.summary.get("validation", {}).get("epoch")
    try:
        loss_curves(facts.train, facts.test, facts.validation, kept=kept, x="epoch", ax=axes)
    except ValueError as error:
        return section("Training", *bad, absent(f"There are no curves. {error}"))
    shown = axes if any(record.get("kl_per_latent") for record in facts.train) else axes[1:2]
    charts = []
    for ax in shown:
        ax.set_ylabel("")
        ax.set_xlabel("epoch")
        charts.append(chart(ax.figure, f"{ax.get_title(loc='left')} over training"))
    skipped = sum(record.get("skipped") or 0 for record in facts.train)
    tested = noun(facts.config.data.kind, 2)
    words = f"Nats per example. Lines: means over windows of training steps. Points: all test {tested}."
    if facts.validation:
        words += f" Small points: the validation {tested}" + (
            "." if kept is None else f", of which epoch {kept} is kept."
        )
    if skipped:
        bad.append(note(f"{skipped:,} steps were skipped: not finite, or gradients above the limit.", warning=True))
    return section("Training", *bad, figures(*charts, columns=3), paragraph(tag("span", words, class_="caption")))
