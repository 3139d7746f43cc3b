"""The fragments of the guide on other libraries' resizes: tables of the committed results, and two pictures."""

from __future__ import annotations

import contextlib
import io
import runpy
from pathlib import Path
from typing import Any

import matplotlib as mpl

from . import dialect_accuracy, dialect_gap
from ._records import Record, read

_GALLERY = Path(__file__).parents[1] / "docs" / "gallery" / "plot_dialects.py"
_PICTURES = ("dialects-circle", "dialects-weights")  # of the gallery's page, in its order


def write_docs(folder: Path) -> None:
    """Write the tables and the pictures into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    gap, accuracy = read(dialect_gap.FILE, "rows"), read(dialect_accuracy.FILE, "rows")
    (folder / "dialect_gap.md").write_text(f"{dialect_gap.table(gap['rows'])}\n\n{_source(gap, gap['rows'])}")
    for size in (16, 128):
        rows = [row for row in accuracy["rows"] if row["size"] == size]
        text = f"{dialect_accuracy.table(rows)}\n\n{_source(accuracy, rows)}"
        (folder / f"dialect_accuracy-{size}.md").write_text(text)
    _draw(folder)


def _source(record: Record, rows: list[Any]) -> str:
    machine = f"{record['device']}; torch {record['versions']['torch']}"
    source = f"{machine}; {record['date']}; commit {record['commit']}"
    return f"`{record['command']}`; {rows[0]['images']:,} images; {source}.\n"


def _draw(folder: Path) -> None:
    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.close("all")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "dialects"}):
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(_GALLERY))
        for name, number in zip(_PICTURES, plt.get_fignums(), strict=True):
            plt.figure(number).savefig(folder / f"{name}.svg", metadata={"Creator": None, "Date": None})
    plt.close("all")
