"""Networks of published experiments, layer for layer."""
