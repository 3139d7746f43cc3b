"""Sphinx configuration."""

import sys
from pathlib import Path

import resizenet

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are not installed
sys.path.insert(0, str(Path(__file__).parent))  # for captions.py
from benchmarks import _pages

_pages.write_docs(Path(__file__).parent)

project = "resizenet"
author = "The resizenet authors"
copyright = "2026, The resizenet authors"
release = version = resizenet.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
html_theme = "furo"
html_title = f"resizenet {release}"
html_static_path = ["_static"]
html_js_files = ["fit.js"]
html_theme_options = {
    "source_repository": "https://github.com/resizenet/resizenet/",
    "source_branch": "main",
    "source_directory": "docs/",
}
exclude_patterns = ["_build", "_templates", "gallery", "generated/measured"]
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings give shapes, units and ranges, which types cannot
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # "Attributes:" describes dataclass fields, which are documented as members too
myst_enable_extensions = ["colon_fence", "substitution"]
myst_substitutions = {"version": release}
myst_heading_anchors = 3
copybutton_prompt_text = ">>> "

sphinx_gallery_conf = {  # pages that are run while they are built
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "abort_on_example_error": True,
    "capture_repr": (),
    "image_scrapers": ("captions.captioned",),
    "image_srcset": ["2x"],
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}
