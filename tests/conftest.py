"""Two virtual devices so that `pmap` is real, no silent broadcasting; warnings are errors (pyproject.toml)."""

import os

# Before jax starts: the flag is read once. Tests only; the library never touches XLA_FLAGS.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
