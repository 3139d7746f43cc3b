"""Sphinx configuration."""

import resizenet

project = "resizenet"
author = "The resizenet authors"
copyright = "2026, The resizenet authors"
release = version = resizenet.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.doctest", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_title = "resizenet"
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings give shapes, units and ranges, which types cannot
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = ">>> "
