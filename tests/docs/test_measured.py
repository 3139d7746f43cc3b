"""The tables in the pages are those of the committed results, and a code host shows the pages."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import _pages

DOCS = Path(__file__).parents[2] / "docs"
SHELLS = {"changelog.md", "index.md", "quickstart.md"}  # they show other files, and only the site needs them
READ = [DOCS.parent / "README.md", *(page for page in _pages.pages(DOCS) if page.name not in SHELLS)]


def labels(picture: Path) -> list[str]:
    """The words in a picture, such as the names of the arms; other versions of matplotlib choose other ticks."""
    words = [element.text or "" for element in ElementTree.parse(picture).iter() if element.tag.endswith("text")]
    return [word for word in words if re.search("[a-z]", word)]


def test_the_committed_tables_and_pictures_are_those_of_the_results(tmp_path: Path) -> None:
    _pages.write_fragments(tmp_path)
    texts = {page: page.read_text() for page in _pages.pages(DOCS)}
    assert sum(text.count("<!-- measured: ") for text in texts.values()) > 40
    stale = [page.name for page, text in texts.items() if _pages.filled(text, tmp_path) != text]
    committed = sorted((DOCS / "pictures").iterdir())
    assert all(labels(picture) for picture in committed)
    stale += [picture.name for picture in committed if labels(picture) != labels(tmp_path / picture.name)]
    assert stale == [], "run `make docs` and commit the pages and docs/pictures"


def test_a_place_gets_its_fragment_and_nothing_else_changes(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("| a |\n")
    place = "before\n\n<!-- measured: one -->\n{}<!-- end of measured -->\n\nafter, <!-- measured: two --> in a line\n"
    expected = place.format("\n| a |\n\n")
    script = "<!-- script: hubconf.py -->\n{}<!-- end of script -->\n"
    hub = (DOCS.parent / "hubconf.py").read_text()
    assert _pages.filled(script.format("old\n"), tmp_path) == script.format(f"\n```python\n{hub}```\n\n")
    assert _pages.filled(place.format(""), tmp_path) == expected
    assert _pages.filled(place.format("\nold\n"), tmp_path) == expected
    assert _pages.filled(expected, tmp_path) == expected


def test_every_committed_picture_is_shown_by_a_page() -> None:
    shown = {name for page in _pages.pages(DOCS) for name in _pages.pictures(page.read_text())}
    assert shown == {picture.name for picture in (DOCS / "pictures").iterdir()}


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_a_code_host_shows_the_whole_page(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"\{(?:figure|include|literalinclude|toctree)\}", text) == []
    assert re.findall(r"^%.*", text, re.MULTILINE) == []  # lines that the site hides
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    targets = [(page.parent / link).resolve() for link in links if link]
    assert [target for target in targets if not target.exists() or DOCS / "generated" in target.parents] == []
