"""`python -m experiments.sweep`."""

from jaxvae.commands.parts.launch import launch
from jaxvae.commands.sweep import main
from jaxvae.commands.sweep.line import parse_sweep

if __name__ == "__main__":
    launch(main, parse_sweep)
