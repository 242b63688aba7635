"""Trains a VAE on images.

python -m experiments.train digits
"""

from experiments.cli import TrainOptions, parse_train
from experiments.launch import launch


def main(options: TrainOptions) -> int:
    """Trains what the options say; returns the exit code."""
    from jaxvae.runs.train import train_run  # JAX is imported after the command line is known to be right

    outcome = train_run(
        options.config, options.workdir, allow_changes=options.allow_changes, overwrite=options.overwrite
    )
    return 128 + outcome.signal if outcome.signal else 0


if __name__ == "__main__":
    launch(main, parse_train)
