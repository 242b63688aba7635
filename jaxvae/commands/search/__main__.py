"""`python -m experiments.search`."""

from jaxvae.commands.parts.launch import launch
from jaxvae.commands.search import main
from jaxvae.commands.search.line import parse_search

if __name__ == "__main__":
    launch(main, parse_search)
