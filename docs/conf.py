"""Sphinx: the pages in this folder, the API from the docstrings, the gallery from ../examples."""

import sys
from pathlib import Path

from sklearn_magdg import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "sklearn_magdg"
author = "The sklearn_magdg developers"
copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",  # what the benchmarks print is Markdown
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "measured"]
templates_path = ["_templates"]
default_role = "py:obj"  # a link where the name is known, else code
nitpicky = False

autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True, "exclude-members": "set_fit_request"}
numpydoc_show_class_members = False  # autodoc lists them; numpydoc would a second time

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_title = project
html_sidebars = {"**": []}
html_show_sourcelink = False


def setup(app):
    """Draw the picture of the rooms from the imports, for `architecture`."""
    from house import draw

    folder = Path(__file__).parent / "generated"
    folder.mkdir(exist_ok=True)
    draw(folder / "house.svg")
