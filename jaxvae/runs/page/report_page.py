"""The parts of the page in their order."""

import os
import platform
import shlex
import time
from importlib.metadata import version
from pathlib import Path

from jaxvae.checks import positive_integer
from jaxvae.runs.builders.recipe import Make
from jaxvae.runs.configs.config import Config
from jaxvae.runs.configs.fields import flatten, words
from jaxvae.runs.configs.validate import READ, UNREAD
from jaxvae.runs.folder.run_folder import SUMMARY
from jaxvae.runs.page.facts import Facts, read_facts
from jaxvae.runs.page.html import Html, document, paragraph, section, table, tag
from jaxvae.runs.page.looks import latent_space, pictures
from jaxvae.runs.page.measured import anomalies, likelihood
from jaxvae.runs.page.style import STYLE
from jaxvae.runs.page.training import curves, head
from jaxvae.runs.summary import machine_in_words

TIME = "%Y-%m-%d %H:%M UTC"


def report_page(
    workdir: str | Path,
    *,
    samples: int = 50,
    limit: int = 1000,
    allow_changes: bool = False,
    recipe: Make | str | None = None,
) -> str:
    """One HTML page of a run: numbers, curves, pictures, latents, anomalies and the config.

    Whatever the folder lacks is missed in a sentence: an interrupted run has no summary, an autoencoder no prior.

    Args:
        workdir: the run folder.
        samples: K of the importance-weighted bound.
        limit: so many test images are measured, picked by a fixed permutation.
        allow_changes: go on although config.json or the images are not those of the run.
        recipe: of a run of your own function that function, or "my_file.py:make".

    Returns:
        HTML that asks for no other file and runs no script; everything from the run is escaped.

    Raises:
        FileNotFoundError: if there is no run.
        ValueError, TypeError: for impossible arguments, or a config that cannot be read.
    """
    samples, limit = positive_integer("samples", samples), positive_integer("limit", limit)
    facts = read_facts(workdir, allow_changes, recipe)
    return document(
        f"{facts.folder.resolve().name} \N{MIDDLE DOT} jaxvae",
        STYLE,
        head(facts),
        curves(facts),
        likelihood(facts, samples, limit),
        pictures(facts),
        latent_space(facts),
        anomalies(facts, limit),
        settings(facts),
        foot(facts),
    )


def settings(facts: Facts) -> Html:
    """Every field of the config, those that differ from the defaults first, and the commands that use them again."""
    own = facts.config.recipe.name
    defaults, values = dict(flatten(Config())), dict(flatten(facts.config))
    if own is not None:  # which makes what these fields would say
        values = {path: value for path, value in values.items() if path in READ or not path.startswith(UNREAD)}
    changed = [(path, value) for path, value in values.items() if value != defaults[path]]
    same = [(path, value) for path, value in values.items() if value == defaults[path]]
    rows = [[tag("b", path), words(value), words(defaults[path])] for path, value in changed]
    usual = table(["field", "value"], [[path, words(value)] for path, value in same])
    run = shlex.quote(str(facts.folder))
    start = f"jaxvae train {run}" if own is None else f"jaxvae train {own} --workdir {run}"
    again = start if own is None else f"jaxvae train {own}"
    return section(
        "Settings",
        paragraph("To go on with the run, and to train the same anew:"),
        tag("pre", f"{start}\n{again} --workdir {shlex.quote(f'{facts.folder}-again')}"),
        paragraph(f"{len(changed)} of {len(values)} fields differ from the defaults:"),
        tag("div", table(["field", "value", "default"], rows), class_="config"),
        tag("details", tag("summary", f"The {len(same)} others"), tag("div", usual, class_="config")),
    )


def foot(facts: Facts) -> Html:
    """When and with what the page was made."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("jaxvae", "jax", "flax", "optax", "numpy"))
    now = time.strftime(TIME, time.gmtime())
    ended = os.path.getmtime(facts.folder / SUMMARY) if facts.summary else None
    machine = facts.summary.get("machine")
    where = f" on {machine_in_words(machine)}" if machine else ""
    trained = "" if ended is None else f"trained {time.strftime(TIME, time.gmtime(ended))}{where}; "
    return tag(
        "footer", f"{facts.folder}: {trained}page made {now} with Python {platform.python_version()}, {packages}."
    )
