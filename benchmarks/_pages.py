"""The tables of the docs: made from the results, and committed in the pages, which a code host shows too.

A page marks the place of a table with two comments, and what stands between them is replaced:

    <!-- measured: stem_by_resolution-small -->
    <!-- end of measured -->
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import accuracy, throughput, trust
from benchmarks.gpu import _docs as gpu

_PLACE = re.compile(r"(<!-- measured: (\S+) -->\n).*?(<!-- end of measured -->)", re.DOTALL)


def write_fragments(folder: Path) -> None:
    """Write every table as a Markdown file, and every picture."""
    for evidence in (accuracy, throughput, trust, gpu):
        evidence.write_docs(folder)


def pages(docs: Path) -> list[Path]:
    """Return the pages that may have places for tables."""
    return sorted([*docs.glob("*.md"), *docs.glob("measured/*.md"), *docs.glob("guides/*.md")])


def filled(page: str, fragments: Path) -> str:
    """Return the text of a page with the fragment of each place, ``NAME.md`` in the folder ``fragments``."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{(fragments / f'{place[2]}.md').read_text()}\n{place[3]}", page)


def write_docs(docs: Path) -> None:
    """Write the fragments into ``generated/measured``, and from there into the pages."""
    fragments = docs / "generated" / "measured"
    write_fragments(fragments)
    for page in pages(docs):
        text = page.read_text()
        if (new := filled(text, fragments)) != text:
            page.write_text(new)
