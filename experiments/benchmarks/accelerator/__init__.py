"""One command for the minutes that an accelerator is at hand; see `experiments.benchmarks.accelerator.__main__`."""
