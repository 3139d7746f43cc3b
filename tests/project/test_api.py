"""Compare the public names and signatures with ``api_snapshot.txt``.

``python tests/project/test_api.py`` writes the snapshot again. Read the difference before you commit it.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import resizenet

SNAPSHOT = Path(__file__).with_name("api_snapshot.txt")
PACKAGES = ("functional", "geometry", "models", "resizers", "surgery", "transforms")
FACES = ["resizenet", *(f"resizenet.{package}" for package in PACKAGES)]


def natural(name: str) -> list[str | int]:
    """Sort key in the order of ruff's RUF022: resnet20 before resnet110."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def describe_class(path: str, cls: type) -> Iterator[str]:
    """One line for the constructor, and one for each public member that the library defines."""
    bases = ", ".join(base.__name__ for base in cls.__bases__)
    yield f"{path}({bases}){inspect.signature(cls) if not issubclass(cls, Exception) else ''}"
    ours = [base for base in cls.__mro__ if base.__module__.startswith("resizenet")]
    for name in sorted({name for base in ours for name in vars(base) if not name.startswith("_")}):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, (property, cached_property)):
            yield f"{path}.{name}: property"
        elif inspect.isfunction(member) or isinstance(member, (staticmethod, classmethod)):
            yield f"{path}.{name}{inspect.signature(getattr(cls, name))}"


def describe(face: str) -> Iterator[str]:
    """One line per name and per member; at the top level, a name of a package is a reference to it."""
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


def public_api() -> list[str]:
    return [line for face in FACES for line in describe(face)]


def test_signatures_match_the_snapshot() -> None:
    message = "if this is intended, run `python tests/project/test_api.py` and add a line to the changelog"
    assert public_api() == SNAPSHOT.read_text(encoding="utf-8").splitlines(), message


@pytest.mark.parametrize("face", FACES)
def test_all_is_sorted_complete_and_without_duplicates(face: str) -> None:
    module = importlib.import_module(face)
    assert module.__all__ == sorted(set(module.__all__), key=natural)
    public = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public <= set(module.__all__)


@pytest.mark.parametrize("face", FACES)
def test_every_public_name_has_a_docstring(face: str) -> None:
    module = importlib.import_module(face)
    values = {name: getattr(module, name) for name in module.__all__}
    assert [
        name for name, value in values.items() if (callable(value) or inspect.ismodule(value)) and not value.__doc__
    ] == []


def documented(face: str) -> Iterator[tuple[str, str]]:
    """Names and docstrings of everything public, members included."""
    module = importlib.import_module(face)
    for name in module.__all__:
        value = getattr(module, name)
        members = vars(value).items() if inspect.isclass(value) else ()
        for path, found in [(name, value), *((f"{name}.{member}", found) for member, found in members)]:
            yield path, inspect.getdoc(found) or ""


@pytest.mark.parametrize("face", FACES)
def test_no_description_of_a_result_is_read_as_its_type(face: str) -> None:
    # Sphinx's napoleon takes the words before a colon in the first line of this section for a type
    results = re.compile(r"^(?:Returns|Yields):\n +(?:[^:`\n]|`[^`\n]*`)*:", re.MULTILINE)
    assert [path for path, text in documented(face) if results.search(text)] == []


def test_arguments_with_a_default_are_keyword_only() -> None:
    functions = [value for name in resizenet.__all__ if callable(value := getattr(resizenet, name))]
    offenders = [
        f"{function.__name__}.{parameter.name}"
        for function in functions
        if not (inspect.isclass(function) and issubclass(function, Exception))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is not parameter.empty
    ]
    # audit(train, serve); list_models("resnet*"), as in timm and torchvision
    assert offenders == ["audit.serve", "list_models.pattern"]


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(public_api()) + "\n", encoding="utf-8")
