"""Scripts by rooms: lectures, tables, studies, benchmarks; those that open a run are `jaxvae.commands`.

`python -m experiments.NAME` finds a script in whichever of these rooms it stands.
"""

from pathlib import Path

import jaxvae.commands

__path__ += [str(Path(__file__).parent / room) for room in ("lectures", "tables", "studies")]
__path__ += jaxvae.commands.__path__
