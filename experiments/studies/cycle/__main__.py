"""`python -m experiments.cycle`."""

from experiments.studies.cycle import CycleOptions, main
from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch

if __name__ == "__main__":
    launch(main, parser(CycleOptions))
