"""Checks what the main job leaves in its run folder: every file, and a -ELBO in the range that README states."""

import json
import sys
from pathlib import Path

EXPECTED = (155.0, 175.0)  # nats per image; README states the number

run = Path(sys.argv[1])
for name in ("config.json", "metrics.jsonl", "summary.json", "weights.safetensors"):
    assert (run / name).stat().st_size > 0, f"{name} is empty"
assert any((run / "checkpoints").iterdir()), "no checkpoint"
pictures = ("reconstructions", "prior_samples", "manifold", "interpolations", "curves", "kl_per_latent")
for name in pictures:
    data = (run / "pictures" / f"{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG"), f"{name}.png is no picture"
    assert len(data) > 5000, f"{name}.png is empty"
test = json.loads((run / "summary.json").read_text())["test"]
for name in ("negative_elbo", "reconstruction", "kl"):
    assert test[name]["standard_error"] > 0, f"{name} has no standard error"
value = test["negative_elbo"]["nats"]
assert EXPECTED[0] < value < EXPECTED[1], f"-ELBO is {value:.2f} nats, expected {EXPECTED}"
print(f"main job: -ELBO {value:.2f} nats, {len(pictures)} pictures")
