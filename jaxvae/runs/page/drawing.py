"""Pictures inside a page: charts as SVG in the page's own colours, images as PNG with one pixel for each pixel."""

import base64
import html
import io
import re
from typing import Any

import numpy as np

from jaxvae.evaluation.plots.figures import COLORS, FAINT, INK, MUTED, RED
from jaxvae.evaluation.plots.image_grids import gap_of, tile, unit_images
from jaxvae.runs.page.html import Html, tag

# What matplotlib draws in these colours follows the scheme of the page, by day and by night.
VARIABLES = {INK: "--ink", MUTED: "--muted", FAINT: "--faint", RED: "--red", COLORS[4]: "--purple"}
VARIABLES |= {"#ffffff": "--paper", "white": "--paper"}


def chart(figure: Any, description: str, caption: str = "") -> Html:
    """A matplotlib figure as SVG, its text still text.

    Args:
        figure: the figure; its background becomes transparent.
        description: what a reader who cannot see it is told.
        caption: said below.
    """
    import matplotlib

    figure.patch.set_alpha(0)
    for ax in figure.axes:
        ax.patch.set_alpha(0)
    file = io.StringIO()
    salt = f"{description}{caption}"  # names inside one page must differ from figure to figure
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") :].strip()
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", drawing).replace("xlink:href", "href")
    for color, variable in VARIABLES.items():
        drawing = re.sub(rf"(?<=[ :]){color}\b", f"var({variable})", drawing)
    drawing = drawing.replace("<svg", f'<svg role="img" aria-label="{html.escape(description)}"', 1)
    return tag("figure", Html(drawing), *([tag("figcaption", caption)] if caption else []))


def images(cells: Any, description: str, caption: str = "", *, gap: int | None = None, apart: int = 0) -> Html:
    """Images [R, K, H, W, C] on [0, 1] as one PNG, transparent between them.

    Args:
        cells: the images, row by row.
        description: what a reader who cannot see them is told.
        caption: said below.
        gap: pixels between neighbours.
        apart: after so many rows the gap is wider, so that pairs of rows are seen as pairs.
    """
    from PIL import Image

    array = unit_images("cells", cells, 2)
    gap = gap_of(array) if gap is None else gap
    rows = [gap * (3 if apart and (row + 1) % apart == 0 else 1) for row in range(len(array) - 1)]
    columns = [gap] * (array.shape[1] - 1)
    picture, _, _ = tile(array, rows, columns)
    between, _, _ = tile(np.zeros_like(array[..., :1]), rows, columns)
    color = picture if picture.shape[-1] == 3 else picture.repeat(3, -1)
    pixels = np.concatenate([color, 1 - between], axis=-1)
    file = io.BytesIO()
    Image.fromarray((pixels * 255).round().astype(np.uint8)).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    height, width = pixels.shape[:2]
    picture_tag = tag("img", src=f"data:image/png;base64,{data}", alt=description, width=str(width), height=str(height))
    return tag("figure", picture_tag, *([tag("figcaption", caption)] if caption else []))
