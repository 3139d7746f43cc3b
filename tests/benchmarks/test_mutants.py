"""Mutants have one small fault each, in code and not in types or messages; the runner tells found ones from others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from benchmarks.trust.__main__ import SOURCES, Mutated, files_of_tests, sample_of
from benchmarks.trust._mutants import count_mutants, mutant

SOURCE = '''"""Docs with 1 number."""

def area(height: int = 7, *, check: bool = True) -> "tuple[3]":
    assert_positive(height)
    if not check or height < 2 and height % 3 == 0:
        raise ValueError(f"{height + 1} is below 5")
    return -height * (height + 4)
'''
EXPECTED = [
    ("True", "False"),
    ("7", "8"),
    ("assert_positive(height)", "None"),
    ("not check or (height < 2 and height % 3 == 0)", "not check and (height < 2 and height % 3 == 0)"),
    ("not check", "not not check"),
    ("height < 2 and height % 3 == 0", "height < 2 or height % 3 == 0"),
    ("height < 2", "height <= 2"),
    ("2", "3"),
    ("height % 3 == 0", "height % 3 != 0"),
    ("height % 3", "height * 3"),
    ("3", "4"),
    ("0", "1"),
    ("-height * (height + 4)", "-height / (height + 4)"),
    ("-height", "--height"),
    ("height + 4", "height - 4"),
    ("4", "5"),
]


def test_every_mutant_has_one_small_fault() -> None:
    found = [mutant(SOURCE, index) for index in range(count_mutants(SOURCE))]
    changes = [tuple(change.partition(": ")[2].split(" -> ")) for change, _ in found]
    assert changes == EXPECTED
    original = ast.unparse(ast.parse(SOURCE))
    for (_, source), (before, after) in zip(found, EXPECTED, strict=True):
        differing = [
            pair for pair in zip(original.splitlines(), source.splitlines(), strict=True) if len(set(pair)) > 1
        ]
        assert len(differing) == 1, (before, after)


@pytest.mark.parametrize("module", ["_sizes", "functional", "surgery", "transforms"])
def test_a_sample_is_the_same_each_time_and_has_tests(module: str) -> None:
    count, sample = sample_of(module, 5, 0)
    assert sample == sample_of(module, 5, 0)[1]
    assert sample != sample_of(module, 5, 1)[1]
    assert count > 100
    assert all(Path(test).exists() for path, _, _ in sample for test in files_of_tests(path, module))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("_sizes.py", ["test_sizes.py"]),
        ("functional/_fold.py", ["test_fold.py", "functional"]),
        ("functional/_dialects/_taps.py", ["test_dialects.py", "functional"]),
        ("transforms/batch/_crop.py", ["test_batch_crop.py", "test_batch_resize.py", "transforms"]),
    ],
)
def test_the_tests_named_after_a_file_or_its_folder_run_first(file: str, expected: list[str]) -> None:
    path = SOURCES / "resizenet" / file
    assert path.exists()
    assert [Path(found).name for found in files_of_tests(path, file.partition("/")[0].removesuffix(".py"))] == expected


def test_the_mutated_file_is_loaded_from_its_new_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.trust.__main__.SOURCES", tmp_path)
    file = tmp_path / "package" / "__init__.py"
    file.parent.mkdir()
    file.write_text("value = 1\n")
    loader = Mutated(file, "value = 2\n")
    assert loader.find_spec("other") is None
    spec = loader.find_spec("package")
    assert spec is not None
    namespace: dict[str, object] = {}
    exec(loader.get_code("package"), namespace)  # type: ignore[arg-type]
    assert (spec.submodule_search_locations, namespace["value"]) == ([str(file.parent)], 2)
