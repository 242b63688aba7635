"""Which numbers a config accepts, by dotted field; of those that are off as None, where they are not."""

import math
from typing import NamedTuple


class Range(NamedTuple):
    """Accepted numbers: [low, high], or (low, high) where open."""

    low: float
    high: float = math.inf
    open: bool = False


_COUNT = Range(1, 2**31 - 1)
_SIZE = Range(1, 1_000_000)  # of a layer or of the latents: more than a mistyped number leaves room for
_POSITIVE = Range(0, open=True)
RANGES: dict[str, Range] = {
    "seed": Range(0, 2**32 - 1),
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "micro_batch": _COUNT,
    "evaluate_every": _COUNT,
    "test_samples": _COUNT,
    "validation_fraction": Range(0, 0.9),
    "patience": _COUNT,
    "save_every": _COUNT,
    "keep": _COUNT,
    "data.test_fraction": Range(0, 1, open=True),
    "data.image_shape": _COUNT,
    "data.classes": _COUNT,
    "data.size": _COUNT,
    "data.crop": _COUNT,
    "data.channels": _COUNT,
    "data.background": Range(0, 255),
    "data.mean": Range(-math.inf),
    "data.std": _POSITIVE,
    "sampler.alpha": _POSITIVE,
    "sampler.at_least": Range(0, 0.99),
    "sampler.bins": _SIZE,
    "sampler.threshold": Range(0),
    "model.hidden": _SIZE,
    "model.features": _SIZE,
    "model.dense": _SIZE,
    "model.blocks": Range(1, 100),
    "model.latent_dim": _SIZE,
    "model.std": _POSITIVE,
    "model.components": _SIZE,
    "model.prior_components": _SIZE,
    "model.rank": _SIZE,
    "model.flows": Range(1, 1000),
    "model.flow_hidden": _SIZE,
    "model.scales": Range(1, 20),
    "model.first_latents": _SIZE,
    "model.upper_hidden": _SIZE,
    "model.groups": Range(1, 1000),
    "model.factors": Range(1, 1000),
    "model.categories": Range(2, 1_000_000),
    "model.temperature": _POSITIVE,
    "model.codes": _SIZE,
    "model.code_size": _SIZE,
    "model.labelled": Range(1e-6, 1),
    "model.critic_hidden": _SIZE,
    "data.levels": Range(2, 256),
    "model.pixel_features": _SIZE,
    "model.pixel_layers": _SIZE,
    "model.width": _SIZE,
    "model.heads": _SIZE,
    "model.patch": _SIZE,
    "model.noise_start": Range(-40, 0),
    "model.noise_stop": Range(0, 40),
    "model.time_steps": _SIZE,
    "model.draw_steps": _SIZE,
    "model.critic_rate": _POSITIVE,
    "model.critic_steps": Range(1, 1000),
    "model.noise": Range(0, 1),
    "model.weight": Range(0),
    "model.decoder_weight": Range(0),
    "objective.samples": _SIZE,
    "objective.groups": _SIZE,
    "objective.mix": Range(0, 1),
    "objective.alpha": Range(-math.inf),
    "objective.free_bits": Range(0),
    "objective.capacity": Range(0),
    "objective.capacity_weight": Range(0),
    "objective.penalty_weight": Range(0),
    "objective.beta": Range(0),
    "objective.warmup_epochs": Range(0),
    "optim.lr": _POSITIVE,
    "optim.eps": _POSITIVE,
    "optim.b1": Range(0, 0.9999),
    "optim.weight_decay": Range(0),
    "optim.warmup_epochs": Range(0),
    "optim.clip": _POSITIVE,
    "optim.skip_above": _POSITIVE,
    "optim.skip_ratio": Range(1, open=True),
    "optim.ema": Range(0, 1, open=True),
    "optim.max_skipped": _COUNT,
}
