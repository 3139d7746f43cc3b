"""Write the table of the largest differences between ``resize(like=)`` and the libraries, for the docs.

``python tests/dialect_differences.py`` writes it into docs/guides/dialects.md; tests/functional/test_dialects.py holds
the limits.
"""

from pathlib import Path

import numpy as np
import torch

from dialect_references import LIBRARIES, UINT8, make_case
from resizenet.functional import resize

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "dialects.md"
START, END = "<!-- differences -->", "<!-- end of differences -->"
CASES = 60


def largest_difference(like: str, name: str, antialias: bool | None, dtype: type, cases: int) -> float:
    """Between ``resize(like=)`` and the library: levels for uint8, otherwise of images from 0 to 1."""
    worst = 0.0
    for index in range(cases):
        image, size = make_case(index, dtype)
        theirs = LIBRARIES[like][name, antialias](image, size).astype(np.float64)
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        ours = resize(batch, size, interpolation=name, antialias=antialias, like=like)
        worst = max(worst, float(np.abs(ours[0].permute(1, 2, 0).double().numpy() - theirs).max()))
    return worst


def table() -> str:
    """The table in Markdown."""
    lines = ["| like | interpolation | antialias | uint8, levels | float32, of 1 |", "|---|---|---|---|---|"]
    for like, rows in LIBRARIES.items():
        for name, antialias in rows:
            levels = f"{largest_difference(like, name, antialias, np.uint8, CASES):.0f}" if like in UINT8 else "-"
            share = f"{largest_difference(like, name, antialias, np.float32, CASES):.1e}"
            setting = {None: "-", True: "yes", False: "no"}[antialias]
            lines.append(f'| "{like}" | {name} | {setting} | {levels} | {share} |')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    before, start, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(before + start + "\n\n" + table() + "\n" + END + rest.partition(END)[2], encoding="utf-8")
