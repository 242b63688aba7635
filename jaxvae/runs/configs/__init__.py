"""What a run is: its config, how it is read, written and checked; no JAX is imported."""
