"""The images of the anomaly experiment: what is normal, what is not, and training images with some outliers in them."""

from typing import Any, NamedTuple

KINDS = ("mnist", "fashion_mnist", "digits", "shapes", "noise")


class Images(NamedTuple):
    """uint8 [N, H, W, C] images of two kinds, both to train on and to test with."""

    train: Any
    test: Any


def load_kind(name: str, count: int, test: int, size: int, seed: int) -> Images:
    """Up to `count` images to train on and `test` others, drawn with the seed.

    Args:
        name: one of KINDS; shapes and noise are made in the size asked for.
        size: height and width.

    Raises:
        ValueError: for another name, or images of another size.
    """
    import numpy as np

    import jaxvae
    from jaxvae.data import shapes
    from jaxvae.runs.configs.names import unknown

    if name not in KINDS:
        raise ValueError(unknown("kind of images", name, KINDS))
    rng = np.random.default_rng(seed)
    if name == "noise":
        return Images(*(rng.integers(0, 256, (n, size, size, 1), dtype=np.uint8) for n in (count, test)))
    parts = []
    for split, most in (("train", count), ("test", test)):
        if name == "shapes":
            images = shapes.load(split, size=size).images
        else:
            images = jaxvae.data.load(name, split).images
        if images.shape[1:] != (size, size, 1):
            raise ValueError(
                f"images of {name} have shape {images.shape[1:]}, expected ({size}, {size}, 1) as the others. "
                f"Compare digits with shapes or noise, mnist with fashion_mnist, shapes or noise."
            )
        parts.append(images[np.sort(rng.permutation(len(images))[:most])])
    return Images(*parts)


def size_of(name: str) -> int:
    """Height and width of the images of a kind; shapes and noise take 28."""
    return 8 if name == "digits" else 28


def mixed(inliers: Any, outliers: Any, share: float, seed: int) -> tuple[Any, Any]:
    """(images, is_outlier [N]): the inliers with as many of them replaced by outliers as the share says, shuffled."""
    import numpy as np

    count = min(max(1, round(share * len(inliers))), len(outliers))
    images = np.concatenate([inliers[: len(inliers) - count], outliers[:count]])
    is_outlier = np.arange(len(images)) >= len(images) - count
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order], is_outlier[order]
