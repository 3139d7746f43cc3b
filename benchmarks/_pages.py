"""The tables, pictures and scripts of the docs: committed in the pages, because a code host includes no files.

A page marks the place of a table with two comments, and what stands between them is replaced:

    <!-- measured: stem_by_resolution-small -->
    <!-- end of measured -->

The place of a script is marked in the same way, with the file's path from the root of the repository:

    <!-- script: examples/recipes/timm_loop.py -->
    <!-- end of script -->
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from benchmarks import _dialect_docs as dialects
from benchmarks import accuracy, throughput, trust
from benchmarks.gpu import _docs as gpu

_ROOT = Path(__file__).parents[1]
_TABLE = re.compile(r"(<!-- measured: (\S+) -->\n).*?(<!-- end of measured -->)", re.DOTALL)
_SCRIPT = re.compile(r"(<!-- script: (\S+) -->\n).*?(<!-- end of script -->)", re.DOTALL)
_PICTURE = re.compile(r"\]\(\.\./pictures/(\S+)\)")


def write_fragments(folder: Path) -> None:
    """Write every table as a Markdown file, and every picture."""
    for evidence in (accuracy, throughput, trust, gpu, dialects):
        evidence.write_docs(folder)


def pages(docs: Path) -> list[Path]:
    """Return the pages that may have places for tables."""
    return sorted([*docs.glob("*.md"), *docs.glob("measured/*.md"), *docs.glob("guides/*.md")])


def filled(page: str, fragments: Path) -> str:
    """Return the text of a page with its tables, ``NAME.md`` in the folder ``fragments``, and its scripts."""
    page = _TABLE.sub(lambda place: f"{place[1]}\n{(fragments / f'{place[2]}.md').read_text()}\n{place[3]}", page)
    return _SCRIPT.sub(lambda place: f"{place[1]}\n```python\n{(_ROOT / place[2]).read_text()}```\n\n{place[3]}", page)


def pictures(page: str) -> list[str]:
    """Return the names of the pictures that a page shows."""
    return _PICTURE.findall(page)


def write_docs(docs: Path) -> None:
    """Write the fragments into ``generated/measured``, and from there into the pages and ``pictures``."""
    fragments = docs / "generated" / "measured"
    write_fragments(fragments)
    for page in pages(docs):
        text = page.read_text()
        if (new := filled(text, fragments)) != text:
            page.write_text(new)
        for name in pictures(new):
            shutil.copyfile(fragments / name, docs / "pictures" / name)
