"""How Sphinx builds the book: `python -m sphinx -W --keep-going -b html notebooks build/book`."""

import sys
from pathlib import Path

import jaxvae

sys.path.insert(0, str(Path(__file__).parent / "_extension"))

project, author = "jaxvae", "The jaxvae authors"
project_copyright = "the jaxvae authors, Apache-2.0"
version = release = jaxvae.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "generated", "names"]
exclude_patterns = ["_extension", "**.ipynb_checkpoints"]

# Notebooks are shown with the outputs that they store: the tests run them, and a build of the book trains nothing.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Docstrings are plain text: a word in backticks is code, and |x| or a * b is a formula.
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "jaxvae"
html_show_sphinx = False
html_static_path = ["_extension/book.css"]
html_css_files = ["book.css"]
# `-b linkcheck` asks every address that the book names; it wants a network, so it is no part of the build.
linkcheck_anchors = False
