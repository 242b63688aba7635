"""What a command asks of the model of a run, with a command that does work where this one cannot."""


def need_prior(run: str, kind: str, why: str) -> None:
    """Raises `ValueError` for a run of a deterministic autoencoder, which has no prior.

    Example:
        >>> need_prior("runs/a", "vae", "there is nothing to draw codes from")
    """
    if kind == "autoencoder":
        raise ValueError(
            f"{run} is a deterministic autoencoder: without a prior {why}, expected a model with one. Try python -m "
            f"experiments.interpolate {run}"
        )


def need_one_vector(run: str, kind: str, why: str) -> None:
    """Raises `ValueError` for a run whose latents come in groups, one above the other.

    Example:
        >>> need_one_vector("runs/a", "ladder", "there is no plane of two latents")
        Traceback (most recent call last):
        ValueError: runs/a is of the kind 'ladder', whose latents come in groups: there is no plane of two latents, \
expected a model with one vector of latents. Try python -m experiments.interpolate runs/a
    """
    if kind in ("hierarchical", "ladder"):
        raise ValueError(
            f"{run} is of the kind {kind!r}, whose latents come in groups: {why}, expected a model with one vector of "
            f"latents. Try python -m experiments.interpolate {run}"
        )
