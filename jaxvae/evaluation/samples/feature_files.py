"""Features whose weights lie in a file: the same judge for several runs, or a network that was trained elsewhere."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.own.archives import open_npz, read_member
from jaxvae.evaluation.batches import map_batches
from jaxvae.evaluation.samples.classifiers import Classifier
from jaxvae.evaluation.samples.features import Features, as_input
from jaxvae.files import whole_file
from jaxvae.networks.convolution import conv
from jaxvae.networks.rows import matmul_rows

Array = jax.Array
Layer = tuple[np.ndarray, np.ndarray, int]  # kernel, bias, stride
MAX_BYTES = 2**31


def read_features(path: str | Path) -> Features:
    """The features of a network in an `.npz`: a stack of layers, each rectified, the last of them the features.

    Its arrays are kernel_0 and bias_0, kernel_1 and bias_1, and so on. A kernel [k, k, I, O] is a convolution with
    "SAME" padding and the stride of stride_0 (2 where that array is missing); a kernel [I, O] is a dense layer of all
    numbers of a picture in the order height, width, channel, or of its mean over height and width where I says so.
    Optional are mean [C] and std [C], which pictures on [0, 1] are standardised by, logits_kernel [F, K] and
    logits_bias [K] of a classifier, and about, a sentence that is printed with every score.

    Raises:
        ValueError: naming the file, for arrays that are missing or do not fit each other.
        FileNotFoundError: if it is not there.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "edges.npz")
        >>> np.savez(path, kernel_0=np.ones((3, 3, 1, 5), np.float32), bias_0=np.zeros(5, np.float32))
        >>> features = read_features(path)
        >>> features.name.split(" (")[0], features.vectors(np.ones((2, 8, 8, 1))).shape
        ('edges.npz', (2, 80))
    """
    path = Path(path)
    layers, mean, std, found = _read(path)

    def last_layer(index: Array, x: Array) -> Array:
        return jax.vmap(lambda one: _apply(layers, (one - mean) / std, path)[-1])(x)

    compiled = jax.jit(last_layer)

    def vectors(images: np.ndarray) -> np.ndarray:
        return map_batches(compiled, as_input(images), batch_size=500)

    def probabilities(images: np.ndarray) -> np.ndarray:
        logits = vectors(images) @ found["logits_kernel"] + found["logits_bias"]
        return np.asarray(jax.nn.softmax(logits))

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    told = probabilities if "logits_kernel" in found else None
    name = f"{path.name} (sha256 {digest}), {layers[-1][1].size} units"
    return Features(name, vectors, told, str(found.get("about", "")))


def write_features(path: str | Path, classifier: Classifier, about: str) -> None:
    """Writes a classifier from `train_classifier` whose network is a stack of layers, as `read_features` reads it.

    Args:
        path: the `.npz`.
        classifier: of convolutions of stride 2 and dense layers, each rectified.
        about: what it was trained on and how good it is, kept with it.
    """
    layers = classifier.params["network"]["params"]
    order = sorted(layers, key=lambda name: (name.split("_")[0], int(name.split("_")[1])))  # Conv before Dense
    arrays: dict[str, Any] = {"about": np.array(about)}
    for n, name in enumerate(order):
        arrays |= {f"kernel_{n}": layers[name]["kernel"], f"bias_{n}": layers[name]["bias"]}
    arrays |= {"logits_kernel": classifier.params["weights"], "logits_bias": classifier.params["bias"]}
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            archive.writestr(f"{name}.npy", member.getvalue())


def feature_distance(path: str | Path) -> Callable[[Array, Array], Array]:
    """(x, y) -> []: half the mean squared difference of what a layer says of two pictures, summed over the layers.

    Args:
        path: an `.npz` as `read_features` reads it, such as one that `write_features` wrote of a classifier trained on
            the data at hand.

    Returns:
        A function of two pictures [H, W, C] on [0, 1], of the size that the network was trained on; for `compared`.

    Raises:
        ValueError, FileNotFoundError: as `read_features`.

    Source: Hou, Shen, Sun and Qiu, 2017, arXiv 1610.00291; Johnson, Alahi and Li, 2016, arXiv 1603.08155.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "edges.npz")
        >>> np.savez(path, kernel_0=np.ones((1, 1, 1, 5), np.float32), bias_0=np.zeros(5, np.float32))
        >>> float(feature_distance(path)(jnp.ones((8, 8, 1)), jnp.zeros((8, 8, 1))))
        0.5
    """
    path = Path(path)
    layers, mean, std, _ = _read(path)

    def distance(x: Array, y: Array) -> Array:
        said = (_apply(layers, (one - mean) / std, path) for one in (x, y))
        return sum((0.5 * jnp.square(a - b).mean() for a, b in zip(*said, strict=True)), jnp.zeros(()))

    return distance


def _read(path: Path) -> tuple[list[Layer], np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The layers of a file, what pictures are standardised by, and all of its arrays."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}, expected an .npz with the weights of a network.")
    with open_npz(path) as (archive, members):
        found = {name: read_member(path, archive, info, MAX_BYTES) for name, info in members.items()}
    depth = next(n for n in range(len(found) + 1) if f"kernel_{n}" not in found)
    if not depth:
        raise ValueError(f"{path} holds {', '.join(found)}, expected kernel_0, bias_0 and so on, the layers in order.")
    layers = [_layer(path, found, n) for n in range(depth)]
    usual = {"mean": np.zeros(1), "std": np.ones(1)}
    mean, std = (found.get(name, usual[name]).astype(np.float32)[None, None] for name in usual)
    return layers, mean, std, found


def _layer(path: Path, found: dict[str, np.ndarray], n: int) -> Layer:
    kernel, bias = found[f"kernel_{n}"], found.get(f"bias_{n}")
    if kernel.ndim not in (2, 4) or bias is None or bias.shape != kernel.shape[-1:]:
        given = None if bias is None else bias.shape
        raise ValueError(
            f"{path}: kernel_{n} has shape {kernel.shape} and bias_{n} {given}, expected [k, k, I, O] or [I, O], and "
            f"[O]."
        )
    return kernel.astype(np.float32), bias.astype(np.float32), int(found.get(f"stride_{n}", 2))


def _apply(layers: list[Layer], x: Array, path: Path) -> list[Array]:
    """What each layer says of one picture [H, W, C], as a vector."""
    said = []
    for n, (kernel, bias, stride) in enumerate(layers):
        inputs = kernel.shape[-2]
        if kernel.ndim == 4 and x.ndim == 3 and x.shape[-1] == inputs:
            x = jax.nn.relu(conv(x, jnp.asarray(kernel), stride) + bias[None, None])
        elif kernel.ndim == 2 and inputs in (x.size, x.shape[-1]):
            h = x.reshape(-1) if x.size == inputs else x.mean((0, 1))
            x = jax.nn.relu(matmul_rows(h[None], jnp.asarray(kernel))[0] + bias)
        else:
            raise ValueError(
                f"{path}: kernel_{n} has shape {kernel.shape}, but what it is given has shape {x.shape}: the network "
                f"was trained on pictures of another size, or its layers are not in order."
            )
        said.append(x.reshape(-1))
    return said
