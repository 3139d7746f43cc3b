"""Every code block in the README, the guides and docs/design.md runs and prints the text below it."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "design.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
SNIPPETS = re.compile(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_runs_and_prints_the_text_below_it(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where snippets write their files
    text = page.read_text()
    snippets = SNIPPETS.findall(text)
    assert len(snippets) == text.count("```python") > 0
    assert sum(bool(expected) for _, expected in snippets) == text.count("```text") > 0
    names: dict[str, object] = {}
    for code, expected in snippets:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)  # in order and in one namespace, as a reader runs them
        assert printed.getvalue().split("\n") == expected.split("\n")


def test_lines_of_the_readme_fit_120_columns() -> None:
    assert [line for line in (ROOT / "README.md").read_text().splitlines() if len(line) > 120] == []
