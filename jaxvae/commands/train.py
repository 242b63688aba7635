"""Trains a VAE, measures it and draws its pictures, in a run folder; run again, it resumes by itself.

    python -m experiments.train digits

Time: half a minute on two cores. Expected: -ELBO 165 +- 5 nats per image of 8x8 pixels with 256 levels.
Obtained: 165.36 +- 1.66.

    python -m experiments.train mnist

Time: half a minute on two cores. Expected: test -ELBO at most 103 nats after 10 epochs, dynamic binarisation.
Obtained: 102.67 +- 0.27, in 43 s on two busy cores.
"""

from typing import TYPE_CHECKING, Any

from jaxvae.commands.cli import TrainOptions
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.parts.train_line import parse_train

if TYPE_CHECKING:
    from jaxvae.runs.train import Outcome

# What there is to say of the test images: exact, or a bound and its parts.
LABELS = {"negative_log_p": "-log p", "negative_elbo": "-ELBO", "reconstruction": "reconstruction", "kl": "KL"}


def main(options: TrainOptions) -> int:
    """Trains what the options say; returns the exit code."""
    if options.distributed:
        from jaxvae.training.jobs.processes import joined, leads

        with joined(options.coordinator, options.processes, options.process):
            return _main(options) if leads() else _follow(options)
    return _main(options)


def _train(options: TrainOptions) -> "Outcome":
    from jaxvae.runs.train import train_run  # JAX is imported after the command line is known to be right

    return train_run(
        options.config,
        options.workdir,
        allow_changes=options.allow_changes,
        overwrite=options.overwrite,
        trackers=options.track,
        profile=options.profile,
        recipe=options.recipe,
    )


def _follow(options: TrainOptions) -> int:
    """What a process does that does not lead: it trains, and the first one measures and says the rest."""
    signal = _train(options).signal
    return 128 + signal if signal else 0


def _main(options: TrainOptions) -> int:
    outcome = _train(options)
    if outcome.signal:
        print(f"Stopped by a signal; step {outcome.step} is saved in {outcome.folder}. The same command goes on.")
        return 128 + outcome.signal
    from jaxvae.evaluation.results import Table, note
    from jaxvae.evaluation.statistics import Estimate
    from jaxvae.runs.choices.data import noun
    from jaxvae.runs.selection import BOUNDS

    test, kind = outcome.summary["test"], options.config.data.kind
    rows: list[tuple[str, Any]] = []
    for name, label in LABELS.items():
        if (value := test.get(name)) is None:  # an autoencoder has no bound
            continue
        exact = "exact" if name == "negative_log_p" else None
        rows.append((label, Estimate(value["nats"], value["standard_error"], test["images"]).text(evidence=exact)))
        print(f"{label:<16}{value['nats']:>9.2f} +- {value['standard_error']:.2f} nats per {noun(kind)}")
    for name, own in test.get("own_units", {}).items():
        exact = "exact" if name == "negative_log_p" else None
        estimate = Estimate(own["nats"], own["standard_error"], test["images"])
        rows.append((f"{LABELS[name]}, own units", estimate.text(evidence=exact)))
        words = f"{own['nats']:>9.2f} +- {own['standard_error']:.2f} nats per row, in the table's own units"
        print(f"{LABELS[name]:<16}{words}")
    if "validation" in outcome.summary:
        chosen = outcome.summary["validation"]
        print(chosen["kept"])
        if "nats" in chosen:
            name = (
                f"{BOUNDS[chosen['bound']]} of {chosen['images']} validation {noun(kind, 2)}, epoch {chosen['epoch']}"
            )
            rows.append((name, Estimate(chosen["nats"], chosen["standard_error"], chosen["images"])))
    if "last_weights" in outcome.summary:
        name, last = next(iter(outcome.summary["last_weights"].items()))
        of = f"{LABELS[name]} of the last weights"
        rows.append((of, Estimate(last["nats"], last["standard_error"], test["images"])))
        print(f"of the {outcome.summary['weights']}; last weights: {last['nats']:.2f} +- {last['standard_error']:.2f}")
    if not rows:
        other = ", only its draws can be judged" if "draws" in outcome.summary else ""
        print(f"this model says nothing of any {noun(kind)} that could be measured{other}; all in {outcome.folder}")
        return 0
    setting = f"{test['images']} test {noun(kind, 2)} ({test['protocol']}, seed {test['seed']})"
    note(Table(f"{outcome.folder}: {setting}, sha256 {test['sha256']}", (f"on the test {noun(kind, 2)}", "nats"), rows))
    print(f"on {setting}; all in {outcome.folder}")
    return 0


if __name__ == "__main__":
    launch(main, parse_train)
