"""Two virtual devices so that `pmap` is real, no silent broadcasting; warnings are errors (pyproject.toml)."""

import os
import tempfile

# Before jax starts: the flag is read once. Tests only; the library never touches XLA_FLAGS.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")

# Many tests compile the same small program: compile it once a session.
_CACHE = tempfile.TemporaryDirectory(prefix="jaxvae-compiled-")
jax.config.update("jax_compilation_cache_dir", _CACHE.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
