"""Moves the title of each gallery picture into a text caption below it, which stays readable on a phone."""

from __future__ import annotations

from typing import Any

from matplotlib import pyplot as plt
from sphinx_gallery.scrapers import matplotlib_scraper


def captioned(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the picture of a block as sphinx-gallery does, with its title as the alternative text and the caption.

    Raises:
        ValueError: a block has several pictures, or a picture without ``suptitle``.
    """
    figures = [plt.figure(number) for number in plt.get_fignums()]
    captions = [figure.get_suptitle() for figure in figures]
    if len(captions) > 1 or not all(captions):
        raise ValueError(f"expected one picture with a suptitle in a block, got {captions}")
    for figure in figures:
        figure.suptitle(figure.get_suptitle(), visible=False, in_layout=False)
    images = matplotlib_scraper(block, block_vars, gallery_conf)
    return images + "".join(f"\n.. rst-class:: caption\n\n{caption}\n\n" for caption in captions)
