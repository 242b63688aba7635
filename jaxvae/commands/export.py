"""Encoder and decoder of a run as StableHLO, to be run by JAX and flatbuffers in any other program.

    python -m experiments.export runs/digits

Time: 4 s on two cores. Expected and obtained: encoder.stablehlo, decoder.stablehlo and export.json in
runs/digits/export, the last of which says shapes, dtypes, what x means and how to load them; they give what the model
gives to 1e-6.
"""

from dataclasses import dataclass

from jaxvae.commands.cli import OwnRecipe, RunFolder, Switch, parser
from jaxvae.commands.parts.launch import launch
from jaxvae.runs.configs.options import Index


@dataclass(frozen=True)
class ExportOptions:
    """Writes both programs with their parameters, and a JSON file that says how they are called."""

    run: RunFolder
    step: Index | None = None  # A saved step; by default the newest.
    output: str | None = None  # Folder; default RUN/export.
    recipe: OwnRecipe = None  # The function that made the run, where it is one of your own.
    allow_changes: Switch = False  # Go on although config.json is not that of the run.


def main(options: ExportOptions) -> None:
    """Writes the files and says where."""
    from pathlib import Path

    from jaxvae.runs.exporting import export_run
    from jaxvae.runs.folder.run_folder import EXPORT

    folder = Path(options.output or Path(options.run) / EXPORT)
    found = export_run(
        options.run, folder, step=options.step, allow_changes=options.allow_changes, recipe=options.recipe
    )
    for name in ("encoder", "decoder"):
        if found[name] is None:
            print(f"The model has no {name}.")
        else:
            print(folder / found[name]["file"])
    print(folder / "export.json")


if __name__ == "__main__":
    launch(main, parser(ExportOptions))
