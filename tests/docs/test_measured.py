"""The tables in the pages are those of the committed results."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmarks import _pages

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_tables_are_those_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", lambda *args, **options: None)  # the pictures are drawn by `make docs`
    _pages.write_fragments(tmp_path)
    texts = {page: page.read_text() for page in _pages.pages(DOCS)}
    assert sum(text.count("<!-- measured: ") for text in texts.values()) > 40
    stale = [page.name for page, text in texts.items() if _pages.filled(text, tmp_path) != text]
    assert stale == [], "run `make docs` and commit the pages"


def test_a_place_gets_its_fragment_and_nothing_else_changes(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("| a |\n")
    place = "before\n\n<!-- measured: one -->\n{}<!-- end of measured -->\n\nafter, <!-- measured: two --> in a line\n"
    expected = place.format("\n| a |\n\n")
    assert _pages.filled(place.format(""), tmp_path) == expected
    assert _pages.filled(place.format("\nold\n"), tmp_path) == expected
    assert _pages.filled(expected, tmp_path) == expected
