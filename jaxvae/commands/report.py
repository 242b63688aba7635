"""Writes one HTML page of a run: numbers, curves, pictures, latents, anomalies, settings.

    python -m experiments.report runs/digits

Time: about 15 s on two cores for the digits. Expected and obtained: runs/digits/report.html, one file that asks for no
other and runs no script, with the -ELBO of the run's summary.json at its head.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Page, output_path
from jaxvae.waiting import at_work


@dataclass(frozen=True)
class ReportOptions:
    """One HTML page of a run, to keep or to send; it needs no other file and no network."""

    run: RunFolder
    samples: int = 50  # Posterior samples K of the importance-weighted bound.
    limit: int = 1000  # Only so many test images are measured, picked by a fixed permutation.
    output: Page = None  # Where to write, by default report.html in the run folder.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json or the images are not those of the run.


def main(options: ReportOptions) -> None:
    """Writes the page and says where; its bounds and scores are kept as numbers too."""
    from pathlib import Path

    from jaxvae.files import make_folder, write_text
    from jaxvae.runs.folder.run_folder import REPORT
    from jaxvae.runs.page import report_page

    path = output_path(options.output, Path(options.run) / REPORT)
    if path.suffix != ".html":
        raise ValueError(f"output is {str(path)!r}, expected a name that ends in .html.")
    with at_work("making the page"):
        page = report_page(
            options.run,
            recipe=options.recipe,
            samples=options.samples,
            limit=options.limit,
            allow_changes=options.allow_changes,
        )
    make_folder(path.parent)
    write_text(path, page)
    print(path)


if __name__ == "__main__":
    launch(main, parser(ReportOptions))
