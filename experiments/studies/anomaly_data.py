"""The images of the anomaly experiment: what is normal, what is not, and training images with some outliers in them."""

from typing import Any, NamedTuple

KINDS = ("mnist", "fashion_mnist", "digits", "shapes", "noise", "cifar10", "fashion_in_colour")


class Images(NamedTuple):
    """uint8 [N, H, W, C] images of two kinds, both to train on and to test with."""

    train: Any
    test: Any


def load_kind(name: str, count: int, test: int, size: int, seed: int) -> Images:
    """Up to `count` images to train on and `test` others, drawn with the seed.

    Args:
        name: one of KINDS; shapes and noise are made in the size asked for. fashion_in_colour is Fashion-MNIST on 32 x
            32 pixels, each picture times a colour of its own. cifar10+dog is one class of it, cifar10-dog all others.
        size: height and width.

    Raises:
        ValueError: for another name or class, or images of another size.
    """
    import numpy as np

    import jaxvae
    from jaxvae.data import shapes
    from jaxvae.runs.configs.names import unknown

    rng = np.random.default_rng(seed)
    if name == "noise":
        return Images(*(rng.integers(0, 256, (n, size, size, 1), dtype=np.uint8) for n in (count, test)))
    whole, channels = name.partition("+")[0].partition("-")[0], 3 if _in_colour(name) else 1
    if whole not in KINDS or (whole != name and whole != "cifar10"):
        raise ValueError(unknown("kind of images", name, KINDS))
    parts = []
    for split, most in (("train", count), ("test", test)):
        if name == "shapes":
            images = shapes.load(split, size=size).images
        elif whole == "fashion_in_colour":
            images = coloured(jaxvae.data.load("fashion_mnist", split).images, seed)
        else:
            images = of_class(jaxvae.data.load(whole, split), name)
        if images.shape[1:] != (size, size, channels):
            raise ValueError(
                f"images of {name} have shape {images.shape[1:]}, expected ({size}, {size}, {channels}) as the others. "
                f"Compare digits with shapes or noise, mnist with fashion_mnist, shapes or noise, and cifar10, or "
                f"classes of it, with fashion_in_colour."
            )
        parts.append(images[np.sort(rng.permutation(len(images))[:most])])
    return Images(*parts)


def _in_colour(name: str) -> bool:
    return name.startswith(("cifar10", "fashion_in_colour"))


def size_of(name: str) -> int:
    """Height and width of the images of a kind; shapes and noise take 28."""
    return 8 if name == "digits" else 32 if _in_colour(name) else 28


def coloured(grey: Any, seed: int) -> Any:
    """Grey images [N, 28, 28, 1] on 32 x 32 pixels, each times a colour of its own, uniform on [0.25, 1]^3."""
    import numpy as np

    tints = np.random.default_rng(seed).uniform(0.25, 1, (len(grey), 1, 1, 3)).astype(np.float32)
    return np.rint(np.pad(grey, ((0, 0), (2, 2), (2, 2), (0, 0))) * tints).astype(np.uint8)


def of_class(data: Any, name: str) -> Any:
    """The images of NAME, of one class of it (NAME+CLASS), or of all classes but one (NAME-CLASS)."""
    from jaxvae.runs.configs.names import unknown

    sign = next((sign for sign in "+-" if sign in name), None)
    if sign is None:
        return data.images
    chosen = name.partition(sign)[2]
    if chosen not in data.class_names:
        raise ValueError(unknown("class", chosen, data.class_names))
    inside = data.labels == data.class_names.index(chosen)
    return data.images[inside if sign == "+" else ~inside]


def mixed(inliers: Any, outliers: Any, share: float, seed: int) -> tuple[Any, Any]:
    """(images, is_outlier [N]): the inliers with as many of them replaced by outliers as the share says, shuffled."""
    import numpy as np

    count = min(max(1, round(share * len(inliers))), len(outliers))
    images = np.concatenate([inliers[: len(inliers) - count], outliers[:count]])
    is_outlier = np.arange(len(images)) >= len(images) - count
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order], is_outlier[order]
