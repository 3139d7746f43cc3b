"""The release: one version, pins that agree, the declared Pythons, and what the wheel and the sdist hold."""

import importlib.util
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml
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


def test_docs_and_makefile_read_the_version_from_the_package() -> None:
    assert "version" in PROJECT["dynamic"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "src/resizenet/__init__.py"
    others = [ROOT / "docs" / "conf.py", ROOT / "Makefile"]
    assert [path for path in others if resizenet.__version__ in path.read_text()] == []


def test_the_newest_section_of_the_changelog_is_that_of_the_version_and_short() -> None:
    head, *lines = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1].rstrip().splitlines()
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    version = Version(resizenet.__version__)
    released = f"[{cited['version']}] - {cited['date-released']}"
    assert head == ("[Unreleased]" if version.is_devrelease else released)
    assert version.is_devrelease or cited["version"] == str(version)
    assert len(lines) < 40
    assert max(map(len, lines)) <= 120


def test_pre_commit_runs_the_ruff_of_the_dev_extra() -> None:
    (pin,) = (requirement for requirement in PROJECT["optional-dependencies"]["dev"] if requirement.startswith("ruff"))
    assert f"rev: v{pin.removeprefix('ruff==')}\n" in (ROOT / ".pre-commit-config.yaml").read_text()


def test_declared_pythons_agree_with_requires_python_and_mypy() -> None:
    declared = [name.rsplit(" ", 1)[1] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert declared == sorted(declared, key=Version)
    assert all(version in accepted for version in declared)
    assert declared[0] == PYPROJECT["tool"]["mypy"]["python_version"]
    assert f"3.{int(declared[0].split('.')[1]) - 1}" not in accepted


def test_every_run_time_dependency_names_the_lowest_version_only() -> None:
    # `make test-floor` turns >= into ==
    assert all(re.fullmatch(r"[a-z]+>=[\d.]+", requirement) for requirement in PROJECT["dependencies"])


def test_the_package_page_has_absolute_links_to_files_of_the_repository() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(rule["pattern"], rule["replacement"], page)
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    here = re.compile(r"https://(?:raw\.githubusercontent\.com|github\.com)/resizenet/resizenet/(?:blob/)?main/([^#]+)")
    files = [found[1] for found in map(here.match, links) if found]
    assert len(files) > 5
    assert [name for name in files if not (ROOT / name).exists()] == []
    pictures = [link for link in links if here.match(link) and link.endswith((".svg", ".png"))]
    assert pictures
    assert all(link.startswith("https://raw.githubusercontent.com/") for link in pictures)


WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}


def test_workflows_call_verbs_of_the_makefile() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = [step for flow in WORKFLOWS.values() for job in flow["jobs"].values() for step in job["steps"]]
    commands = {step["run"] for step in steps if "run" in step}
    assert commands == {".ci/run", "make docs", "make ${{ matrix.verb }} PYTHON=python FLOOR_PYTHON=python"}
    assert set(WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]["verb"]) | {"docs"} <= verbs


def test_workflows_test_every_declared_python() -> None:
    declared = [name.rsplit(" ", 1)[1] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]
    assert set(declared) <= set(WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]["python"])


def wheel(folder: Path, *, extra: str = "", without: str = "") -> Path:
    """A wheel of empty files, with the names of the library's modules."""
    source = ROOT / "src"
    names = {str(path.relative_to(source)) for path in (source / "resizenet").rglob("*.py")} | {"resizenet/py.typed"}
    names |= {str(path.relative_to(source)) for path in (source / "resizenet" / "models" / "weights").glob("*")}
    info = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    names |= {f"resizenet-1.0.dist-info/{name}" for name in info}
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


def test_weights_and_data_in_an_sdist_are_found(check_contents: ModuleType, tmp_path: Path) -> None:
    expected = ["LICENSE", "src/resizenet/py.typed", "tests/test_sizes.py", "src/resizenet/models/weights/a.pt"]
    unexpected = ["benchmarks/seed0.pt", "benchmarks/cifar10.npz"]
    made = tmp_path / "resizenet-1.0.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        for name in expected + unexpected:
            archive.add(ROOT / "LICENSE", f"resizenet-1.0/{name}")
    assert check_contents.problems_of_sdist(made) == [f"unexpected: resizenet-1.0/{name}" for name in unexpected]
