"""Sliders that drive the decoder in a notebook: move a latent, see the mean of x.

ipywidgets is imported when the first sliders are made; it comes with `pip install jaxvae[notebooks]`.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.checks import finite_number, positive_integer
from jaxvae.evaluation.latents.codes import check_latent
from jaxvae.evaluation.latents.decoding import count_latents, decode
from jaxvae.evaluation.plots.image_grids import unit_images
from jaxvae.models.records import Model, Params

Array = jax.Array


class Sliders(NamedTuple):
    """Sliders and the image they drive; end a notebook cell with `.widget` to see them.

    Attributes:
        widget: everything in one box.
        latents: {latent: its slider}; setting `.value` moves it.
        context: the menu of contexts, or None for a model that takes none.
        reset: the button that returns to the code they began with.
        image: the PNG; `pixels(image.value)` reads it.
    """

    widget: Any
    latents: dict[int, Any]
    context: Any
    reset: Any
    image: Any


def sliders(
    model: Model,
    params: Params,
    *,
    z: Array | np.ndarray | None = None,
    latents: Sequence[int] | None = None,
    contexts: Sequence[Any] | None = None,
    limit: float = 3.0,
    side: int = 240,
) -> Sliders:
    """A slider for each latent, and E[x | z] drawn anew whenever one moves.

    Args:
        model, params: the model and its parameters.
        z: [Z] the code to begin with, such as the posterior mean of an example; by default zeros.
        latents: which ones get a slider, in that order; by default all. The others stay as z has them.
        contexts: of a conditional model, what its menu offers, such as `range(10)`; the first one is chosen.
        limit: sliders go from -limit to limit, in prior standard deviations, further where z lies beyond.
        side: the longer side of the image in screen pixels.

    Raises:
        ImportError: where ipywidgets is not installed.
        ValueError: for a code of another shape or not finite, a latent that does not exist or comes twice, or
            contexts that are missing, impossible or not taken.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxvae.models.variational import vae
        >>> from jaxvae.networks.mlp import MLPDecoder, MLPEncoder
        >>> model = vae(MLPEncoder(2), MLPDecoder((8, 8, 1)), event_shape=(8, 8, 1), latent_dim=2)
        >>> shown = sliders(model, model.init(jax.random.key(0), jnp.zeros((8, 8, 1))))
        >>> shown.latents[1].value = 2.0
        >>> pixels(shown.image.value).shape
        (240, 240)
    """
    try:
        import ipywidgets
    except ImportError as error:
        raise ImportError(
            "sliders need ipywidgets, which is not installed. Run pip install 'jaxvae[notebooks]'."
        ) from error

    latent_dim = count_latents(model, params)
    start = np.zeros(latent_dim, np.float32) if z is None else np.array(z, np.float32)
    if start.shape != (latent_dim,) or not np.isfinite(start).all():
        raise ValueError(f"z has shape {start.shape} and values {start}, expected one finite code ({latent_dim},).")
    chosen = list(range(latent_dim)) if latents is None else [check_latent(latent, latent_dim) for latent in latents]
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"latents is {chosen}, expected at least one, each once.")
    finite_number("limit", limit, above=True)
    side = positive_integer("side", side, 8)
    if model.context is not None and not (contexts is not None and len(contexts)):
        raise ValueError("contexts is missing, but the model is conditional. Pass what to choose from, as range(10).")
    for context in [None] if contexts is None else contexts:
        decode(model, params, start[None], context=context)  # raises now what a menu could only raise later

    moved = {
        latent: ipywidgets.FloatSlider(
            value=float(start[latent]),
            min=-max(limit, abs(float(start[latent]))),
            max=max(limit, abs(float(start[latent]))),
            step=0.01,
            description=f"z[{latent}]",
        )
        for latent in chosen
    }
    menu = None
    if contexts is not None:
        options = [(str(context), i) for i, context in enumerate(contexts)]
        menu = ipywidgets.Dropdown(options=options, value=0, description="context")
    reset = ipywidgets.Button(description="Reset")
    image = ipywidgets.Image(format="png")

    def draw(_: Any = None) -> None:
        code = start.copy()
        for latent, slider in moved.items():
            code[latent] = slider.value
        context = None if contexts is None or menu is None else contexts[menu.value]
        mean = decode(model, params, code[None], context=context)
        image.value = _png(unit_images("the mean of x", model.to_unit(mean))[0], side)

    def begin_again(_: Any) -> None:
        for latent, slider in moved.items():
            slider.value = float(start[latent])

    for control in [*moved.values(), *([] if menu is None else [menu])]:
        control.observe(draw, names="value")
    reset.on_click(begin_again)
    draw()
    controls = ipywidgets.VBox([*([] if menu is None else [menu]), *moved.values(), reset])
    return Sliders(ipywidgets.HBox([controls, image]), moved, menu, reset, image)


def pixels(png: bytes) -> np.ndarray:
    """The pixels of a PNG, uint8 [H, W] or [H, W, 3]."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)))


def _png(image: np.ndarray, side: int) -> bytes:
    """An image [H, W, C] on [0, 1] as a PNG, enlarged without smoothing until its longer side is about `side`."""
    from PIL import Image

    levels = np.round(255 * image).astype(np.uint8)
    zoom = max(1, side // max(levels.shape[:2]))
    levels = levels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(buffer, format="PNG")
    return buffer.getvalue()
