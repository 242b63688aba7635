"""`python -m experiments.scoreboard`."""

from jaxvae.commands.cli import parser
from jaxvae.commands.parts.launch import launch
from jaxvae.commands.scoreboard import ScoreboardOptions, main

if __name__ == "__main__":
    launch(main, parser(ScoreboardOptions))
