"""The public surface, pinned: a name or a signature that changes must change ``api_snapshot.txt`` too.

Write the snapshot anew with ``python tests/project/test_api.py``, and read the difference before you commit it.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import resizenet

SNAPSHOT = Path(__file__).with_name("api_snapshot.txt")
FACES = ["resizenet", *(f"resizenet.{package}" for package in ("functional", "models", "resizers", "transforms"))]


def natural(name: str) -> list[str | int]:
    """The order of ruff's RUF022: resnet20 before resnet110."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def describe_class(path: str, cls: type) -> Iterator[str]:
    """The constructor, and each public member that the library itself defines or inherits from itself."""
    bases = ", ".join(base.__name__ for base in cls.__bases__)
    yield f"{path}({bases}){inspect.signature(cls) if not issubclass(cls, Exception) else ''}"
    ours = [base for base in cls.__mro__ if base.__module__.startswith("resizenet")]
    for name in sorted({name for base in ours for name in vars(base) if not name.startswith("_")}):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, property):
            yield f"{path}.{name}: property"
        elif inspect.isfunction(member) or isinstance(member, (staticmethod, classmethod)):
            yield f"{path}.{name}{inspect.signature(getattr(cls, name))}"


def describe(face: str) -> Iterator[str]:
    """One line per name and per member; what a package shows in full is only named at the top."""
    module = importlib.import_module(face)
    packages = {package: importlib.import_module(package) for package in FACES[1:]} if face == FACES[0] else {}
    for name in module.__all__:
        value, path = getattr(module, name), f"{face}.{name}"
        home = next((package for package, other in packages.items() if name in other.__all__), None)
        if home:
            assert value is getattr(packages[home], name)
            yield f"{path} = {home}.{name}"
        elif inspect.ismodule(value):
            yield f"{path}: module"
        elif inspect.isclass(value):
            yield from describe_class(path, value)
        elif callable(value):
            yield f"{path}{inspect.signature(value)}"
        else:
            yield f"{path}: {type(value).__name__}"


def surface() -> list[str]:
    return [line for face in FACES for line in describe(face)]


def test_signatures_are_those_of_the_snapshot() -> None:
    expected = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    lost, new = (
        [line for line in expected if line not in surface()],
        [line for line in surface() if line not in expected],
    )
    assert (lost, new) == ([], []), (
        "run `python tests/project/test_api.py` if this is meant, and note it in the changelog"
    )
    assert surface() == expected


@pytest.mark.parametrize("face", FACES)
def test_all_is_sorted_complete_and_has_no_doubles(face: str) -> None:
    module = importlib.import_module(face)
    assert module.__all__ == sorted(set(module.__all__), key=natural)
    public = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public <= set(module.__all__)


@pytest.mark.parametrize("face", FACES)
def test_everything_public_has_a_docstring(face: str) -> None:
    module = importlib.import_module(face)
    values = [getattr(module, name) for name in module.__all__]
    assert [
        value
        for value in values
        if (inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value)) and not value.__doc__
    ] == []


def test_arguments_with_a_default_are_keyword_only() -> None:
    offenders = [
        f"{name}.{parameter.name}"
        for name in resizenet.__all__
        if inspect.isfunction(value := getattr(resizenet, name))
        or (inspect.isclass(value) and not issubclass(value, Exception))
        for parameter in inspect.signature(value).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is not parameter.empty
    ]
    assert offenders == ["list_models.pattern"]  # list_models("resnet*") reads best, as in timm and torchvision


def test_the_design_promises_no_other_top_level_names() -> None:
    promised = {
        "Resizer",
        "FixedResizer",
        "LinearResizer",
        "LaplacianResizer",
        "ResizedModel",
        "adapt",
        "report",
        "create_model",
        "list_models",
        "__version__",
    }
    assert promised | {"functional", "models", "resizers", "transforms"} <= set(resizenet.__all__)


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(surface()) + "\n", encoding="utf-8")
