"""Encoder and decoder of a run as StableHLO programs, run by JAX and flatbuffers without this library."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

import jaxvae
from jaxvae.evaluation.latents.decoding import latent_shapes
from jaxvae.files import folder_name, make_folder, plain, whole_file, write_json
from jaxvae.models.contexts import Labelled
from jaxvae.models.given_context import condition
from jaxvae.models.meaning import SPACES
from jaxvae.models.records import Model, Params
from jaxvae.runs.builders.recipe import Make
from jaxvae.runs.choices.data import EXAMPLES
from jaxvae.runs.choices.data import meaning as meaning_of_x
from jaxvae.runs.choices.table import takers
from jaxvae.runs.loading import load
from jaxvae.runs.tables.columns import columns_of

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
NEEDS = "pip install jax flatbuffers"
LOAD = ("from jax import export", "run = export.deserialize(open('{file}', 'rb').read()).call", "run({arguments})")


def export_run(
    workdir: str | Path,
    folder: str | Path,
    *,
    step: int | None = None,
    allow_changes: bool = False,
    recipe: Make | str | None = None,
) -> dict[str, Any]:
    """Writes encoder.stablehlo, decoder.stablehlo and export.json, which says how they are called.

    The parameters are part of the programs. Both take any number of examples at once, and run on CPU, GPU and TPU. Of a
    conditional model they take the label, or whatever it is told, as the last argument.

    Args:
        workdir: the run folder.
        folder: where to write; it is made if need be.
        step, allow_changes, recipe: as in `load`.

    Returns:
        What export.json says: for encoder and decoder (None where the model has no such part) the file, arguments and
        results with their shapes and dtypes; what x, z and the label are; a line that runs it.

    Raises:
        ValueError: as `load`. NotImplementedError: without flatbuffers.
        OSError: naming the path and a remedy.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise NotImplementedError("export needs flatbuffers, which is not installed. Run pip install 'jaxvae[export]'.")
    model, params, config = load(workdir, step=step, allow_changes=allow_changes, recipe=recipe)
    folder = make_folder(Path(folder))
    codes, tree = jax.tree.flatten(latent_shapes(model, params))
    groups = {"z": codes[0]} if len(codes) == 1 else {f"z_{i}": code for i, code in enumerate(codes)}
    x, told = {"x": jax.ShapeDtypeStruct(model.event_shape, jnp.float32)}, _told(model)
    parts: dict[str, Any] = {"encoder": None, "decoder": None}
    if model.posterior.support != "none":
        parts["encoder"] = _written(folder / "encoder.stablehlo", _encoder(model, params), x | told)
    own_label = model.context is not None and model.context.optional  # it is a part of z
    if codes:

        def decode(*given: Any) -> dict[str, Any]:
            z, label = jax.tree.unflatten(tree, given[: len(codes)]), given[len(codes) :]
            return {"mean of x": _given(model, None, label)[0].likelihood.mean(params, z)}

        groups |= {} if own_label else told
        parts["decoder"] = _written(folder / "decoder.stablehlo", decode, groups)
    own = config.recipe.name  # whose prior and likelihood no config describes
    prior, likelihood = f"; the prior is {config.model.prior}", f"{config.model.likelihood} likelihood"
    if own is not None:
        prior, likelihood = f"; the prior is that of {own}", f"under the likelihood of {own}"
    elif config.model.kind not in takers("model.kind", "model.prior"):  # which has its own
        prior = ""
    meaning = {
        "x": f"{meaning_of_x(config.data.protocol, config.data.levels)}; axes: {EXAMPLES[config.data.kind].axes}",
        "z": SPACES[model.prior.support] + prior if codes else "there is none",
        "mean of x": f"E[x | z] in the units of x, {likelihood}",
    } | {name: _meaning(model) for name in told}
    columns = columns_of(config.data)
    versions = {"jaxvae": jaxvae.__version__, "jax": jax.__version__}
    found = {
        "run": folder_name(workdir),
        **parts,
        "meaning": meaning,
        "platforms": PLATFORMS,
        "needs": NEEDS,
        "versions": versions,
    }
    if columns is not None:  # names, and mean and std where x is standardised
        found["columns"] = plain(columns._asdict())
    write_json(folder / "export.json", found)
    return found


def _encoder(model: Model, params: Params) -> Callable[[Any], dict[str, Any]]:
    """x -> mean and log-variance of q(z | x), or its mean alone where q is no diagonal Gaussian."""

    def encode(x: Any, *label: Any) -> dict[str, Any]:
        of, x = _given(model, x, label)
        if of.posterior.distribution is not None:
            return dict(of.posterior.distribution(params, x)._asdict())
        leaves = jax.tree.leaves(of.posterior.mean(params, x))
        return {"mean" if len(leaves) == 1 else f"mean_{i}": leaf for i, leaf in enumerate(leaves)}

    return encode


def _given(model: Model, x: Any, label: tuple[Any, ...]) -> tuple[Model, Any]:
    """The model of the value alone, given its label; without one that of the label that says nothing."""
    if model.context is None:
        return model, x
    return condition(model, Labelled(x, label[0] if label else model.context.example()))


def _told(model: Model) -> dict[str, Any]:
    """The argument by which a conditional model is told its context; none of another model."""
    if model.context is None:
        return {}
    one = model.context.example()
    return {"context" if model.context.classes is None else "label": jax.ShapeDtypeStruct(one.shape, one.dtype)}


def _meaning(model: Model) -> str:
    assert model.context is not None
    if model.context.classes is None:
        return "what each example is conditioned on"
    unknown = ", or -1 where it is not known" if model.context.optional else ""
    return f"the class of each example, 0 to {model.context.classes - 1}{unknown}"


def _written(path: Path, function: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    """Exports the function of one example for any number of them; returns what export.json says of it."""
    (batch,) = export.symbolic_shape("batch")
    given = [jax.ShapeDtypeStruct((batch, *one.shape), one.dtype) for one in arguments.values()]
    exported = export.export(jax.jit(jax.vmap(function)), platforms=PLATFORMS)(*given)
    data = exported.serialize()
    with whole_file(path, needed=len(data)) as file:
        file.write(data)
    results = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    return {
        "file": path.name,
        "arguments": {name: _described(one) for name, one in zip(arguments, given, strict=True)},
        "results": {name: _described(one) for name, one in results.items()},
        "load": [line.format(file=path.name, arguments=", ".join(arguments)) for line in LOAD],
    }


def _described(array: Any) -> dict[str, Any]:
    return {"shape": [size if isinstance(size, int) else str(size) for size in array.shape], "dtype": str(array.dtype)}
