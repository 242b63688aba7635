"""`bare_scan` with a number of steps that XLA knows: what a loop of any length costs, where it asks at every step."""

import functools

from experiments.benchmarks.contenders import bare_scan

make = functools.partial(bare_scan.make, known=True)
