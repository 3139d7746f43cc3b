"""What is released is what is meant: one version, pins that agree, declared Pythons, and a wheel with nothing else in it."""

import importlib.util
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import resizenet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


@pytest.fixture(scope="module")
def check_contents() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_contents", ROOT / ".ci" / "check_contents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "src/resizenet/__init__.py"
    others = [
        path
        for path in (ROOT / "CITATION.cff", ROOT / "docs" / "conf.py", ROOT / "Makefile")
        if resizenet.__version__ in path.read_text()
    ]
    assert others == []
    assert not re.search(r"^version:", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)


def test_a_released_version_has_its_section_in_the_changelog() -> None:
    version = Version(resizenet.__version__)
    assert f"## [{'Unreleased' if version.is_devrelease else version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_pre_commit_runs_the_ruff_of_the_dev_extra() -> None:
    (pin,) = (requirement for requirement in PROJECT["optional-dependencies"]["dev"] if requirement.startswith("ruff"))
    assert f"rev: v{pin.removeprefix('ruff==')}\n" in (ROOT / ".pre-commit-config.yaml").read_text()


def test_declared_pythons_are_those_that_pip_accepts_and_mypy_begins_with_the_lowest() -> None:
    declared = [name.rsplit(" ", 1)[1] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert declared == sorted(declared, key=Version)
    assert all(version in accepted for version in declared)
    assert declared[0] == PYPROJECT["tool"]["mypy"]["python_version"]
    assert f"3.{int(declared[0].split('.')[1]) - 1}" not in accepted


def test_every_run_time_dependency_names_the_lowest_version_and_nothing_else() -> None:
    assert all(
        re.fullmatch(r"[a-z]+>=[\d.]+", requirement) for requirement in PROJECT["dependencies"]
    )  # `make test-floor` turns >= into ==


def wheel(folder: Path, *, extra: str = "", without: str = "") -> Path:
    """Names alone, with the real source's modules."""
    names = {
        f"resizenet/{path.relative_to(ROOT / 'src' / 'resizenet')}"
        for path in (ROOT / "src" / "resizenet").rglob("*.py")
    }
    names |= {
        "resizenet/py.typed",
        *(f"resizenet-1.0.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")),
    }
    made = folder / "resizenet-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for name in (names | ({extra} - {""})) - {without}:
            archive.writestr(name, "")
    return made


@pytest.mark.parametrize(
    "extra",
    ["tests/test_sizes.py", "resizenet/weights.pt", "resizenet-1.0.data/scripts/x", "resizenet/__pycache__/a.pyc"],
)
def test_a_stray_file_in_a_wheel_is_found(
    extra: str, check_contents: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert check_contents.problems_of_wheel(wheel(tmp_path)) == []
    assert check_contents.problems_of_wheel(wheel(tmp_path, extra=extra)) == [f"unexpected: {extra}"]


@pytest.mark.parametrize(
    "without", ["resizenet/py.typed", "resizenet-1.0.dist-info/licenses/LICENSE", "resizenet/_sizes.py"]
)
def test_a_missing_file_in_a_wheel_is_found(
    without: str, check_contents: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert check_contents.problems_of_wheel(wheel(tmp_path, without=without)) == [f"missing: {without}"]


def test_weights_in_an_sdist_are_found(check_contents: ModuleType, tmp_path: Path) -> None:
    made = tmp_path / "resizenet-1.0.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        for name in (
            "LICENSE",
            "src/resizenet/py.typed",
            "tests/test_sizes.py",
            "benchmarks/seed0.pt",
            "benchmarks/cifar10.npz",
        ):
            archive.add(ROOT / "LICENSE", f"resizenet-1.0/{name}")
    assert check_contents.problems_of_sdist(made) == [
        f"unexpected: resizenet-1.0/benchmarks/{name}" for name in ("seed0.pt", "cifar10.npz")
    ]
