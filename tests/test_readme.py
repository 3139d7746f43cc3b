"""The README's lines do what the README says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
PAIRS = re.compile(r"```python\n(.*?)```\n+```text\n(.*?)```", re.DOTALL)


def test_every_snippet_prints_what_stands_below_it() -> None:
    text = README.read_text()
    pairs = PAIRS.findall(text)
    assert len(pairs) == text.count("```python") == 4
    names: dict[str, object] = {}
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)  # in order, in one namespace, as a reader pastes them
        assert printed.getvalue().split("\n") == expected.split("\n")
