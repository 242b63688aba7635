"""Scripts by rooms: lectures, tables, studies, benchmarks; those that open a run stand in jaxvae/commands.

`python -m experiments.NAME` finds a script in whichever of these rooms it stands.
"""

from pathlib import Path

from jaxvae import commands

__path__ += [str(Path(__file__).parent / room) for room in ("lectures", "tables", "studies")]
__path__ += commands.__path__
