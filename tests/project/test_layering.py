"""What each room of the library may import (docs/design.md), read from the source; late imports count as well."""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import resizenet

ROOT = Path(resizenet.__file__).parent
NEEDS = {  # every room, and the rooms that it may import; __init__ and __main__ may import everything
    "_errors": set(),
    "_checks": {"_errors"},
    "_sizes": {"_errors", "_checks"},
    "_modules": {"_errors"},
    "_weights": {"_errors"},
    "_text": set(),
    "kernels": {"_errors", "_checks", "_sizes"},
    "functional": {"_errors", "_checks", "_sizes", "kernels"},
    "resizers": {"_errors", "_modules", "_checks", "_sizes", "_weights", "functional", "kernels"},
    "models": {"_errors", "_checks", "_sizes", "_weights", "functional"},
    "transforms": {"_errors", "_checks", "_sizes", "functional"},
    "_tracing": {"_errors", "_modules", "_checks", "_sizes"},
    "surgery": {"_errors", "_modules", "_checks", "_sizes", "_text", "functional", "_tracing"},
    "geometry": {"_errors", "_checks", "_sizes", "_text", "_tracing", "surgery"},
}
SHARED = {  # the private files that other rooms may import
    "functional._inputs",
    "functional._fx",
    "functional._interpolation",
    "functional._libraries",
    "functional._memory_format",
    "functional._positions",
    "surgery._plan",
}
LATE = {  # public packages that the functions of a file import when they are called, to return an object of theirs
    "models._pretrained": {"transforms"},  # weights know their policy; networks need none
}
DEPENDENCIES = {"torch", "torchvision", "einops", "typing_extensions"}  # the last one for type checkers only
OPTIONAL = {  # imported on first use; tests/project/test_import.py checks that
    "resizenet.kernels": {"triton"},
    "resizenet.geometry": {"matplotlib", "rich"},
    "resizenet.surgery": {"rich"},
    "resizenet.transforms": {"matplotlib"},
    "resizenet.__main__": {"rich", "timm"},
}
NO_TORCH = {"_errors", "_checks", "_sizes", "_text"}


def sources() -> dict[str, str]:
    """The source of every module by its absolute name; a package is its ``__init__``."""
    return {
        ".".join(("resizenet", *path.relative_to(ROOT).with_suffix("").parts)): path.read_text()
        for path in sorted(ROOT.rglob("*.py"))
    }


def imported(module: str, source: str) -> Iterator[str]:
    """Absolute names of everything that a module imports, at any depth; ``from a import b`` is a.b."""
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def imported_late(module: str, source: str) -> set[str]:
    """What only functions and blocks for type checkers import."""
    tree = ast.parse(source)
    early = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {*imported(module, source)} - {*imported(module, "\n".join(early))}


def violations(module: str, source: str) -> list[str]:
    """The imports of ``module``, such as "resizenet.models._registry", that the rules forbid."""
    room = module.split(".")[1]
    if room in {"__init__", "__main__"}:
        return []
    if room not in NEEDS:
        return [f"{module} is in no room"]
    packages = {f"resizenet.{package}" for package in LATE.get(module.partition(".")[2], set())}
    late = {name for name in imported_late(module, source) if name.rpartition(".")[0] in packages}
    found = []
    for name in imported(module, source):
        if name in late:
            continue
        top, *inside = name.split(".")
        if top == "triton" and not module.startswith("resizenet.kernels.triton."):
            found.append(f"{module} imports triton; only kernels/triton may")
        elif top == "torch" and room in NO_TORCH:
            found.append(f"{module} imports torch")
        elif top == "resizenet" and inside[0] != room:
            private = inside[1:] and inside[1].startswith("_") and ".".join(inside[:2]) not in SHARED
            if inside[0] not in NEEDS[room]:
                found.append(f"{module} imports {inside[0]}")
            elif private:
                found.append(f"{module} imports the private {name}")
    return found


def import_graph(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """The modules of the library that each one imports; imports for type checkers and in functions count."""

    def home(name: str) -> str | None:
        """The module that ``name`` is, or is defined in."""
        while name:
            for candidate in (name, f"{name}.__init__"):
                if candidate in modules:
                    return candidate
            name = name.rpartition(".")[0]
        return None

    return {
        module: {target for name in imported(module, source) if (target := home(name))}
        for module, source in modules.items()
    }


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One import circle, its first module again at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_has_a_rule_and_files() -> None:
    rooms = {module.split(".")[1] for module in sources()}
    assert rooms == {*NEEDS, "__init__", "__main__"}


def test_every_import_is_allowed() -> None:
    assert [problem for module, source in sources().items() for problem in violations(module, source)] == []


def test_no_module_imports_itself_in_a_circle() -> None:
    assert circle(import_graph(sources())) == []


def test_the_rules_point_up_the_list_and_never_between_siblings() -> None:
    order = list(NEEDS)
    assert all(order.index(needed) < order.index(room) for room, needs in NEEDS.items() for needed in needs)
    siblings = {"resizers", "models", "transforms", "_tracing"}
    assert not any(NEEDS[room] & siblings for room in siblings)


def test_every_shared_file_is_imported_by_another_room() -> None:
    shared = {
        ".".join(name.split(".")[1:3])
        for module, source in sources().items()
        for name in imported(module, source)
        if name.startswith("resizenet.") and name.split(".")[1] != module.split(".")[1]
    }
    assert shared >= SHARED


def test_third_parties_are_the_run_time_dependencies() -> None:
    known = DEPENDENCIES | {"resizenet"} | set(sys.stdlib_module_names)
    for module, source in sources().items():
        optional = OPTIONAL.get(".".join(module.split(".")[:2]), set())
        assert {name.split(".")[0] for name in imported(module, source)} <= known | optional, module


def long_bodies(source: str, *, limit: int = 40) -> list[str]:
    """The functions whose bodies, without the docstring, have ``limit`` lines or more."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body and body[-1].end_lineno - body[0].lineno + 1 >= limit:
                found.append(node.name)
    return found


def test_function_bodies_have_fewer_than_40_lines() -> None:
    assert [f"{module}.{name}" for module, source in sources().items() for name in long_bodies(source)] == []
    assert long_bodies('def long():\n    "Docstring."\n' + 40 * "    x = 1\n") == ["long"]
    assert long_bodies('def short():\n    "Docstring."\n' + 39 * "    x = 1\n") == []


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("models._registry", "from ..resizers import Resizer", "imports resizers"),
        ("models._registry", "from .. import transforms", "imports transforms"),
        ("models.__init__", "from ..geometry import report", "imports geometry"),
        ("_tracing._field", "import resizenet.surgery", "imports surgery"),
        ("functional._resize", "def f():\n    import triton.language", "imports triton; only kernels/triton may"),
        ("kernels._packing", "import triton", "imports triton; only kernels/triton may"),
        ("_sizes", "from torch import Tensor", "imports torch"),
        ("_errors", "from ._sizes import Size", "imports _sizes"),
        (
            "resizers._base",
            "from ..functional._fold import fold_upscale",
            "imports the private resizenet.functional._fold.fold_upscale",
        ),
        ("helpers", "", "is in no room"),
        ("kernels.triton._head", "import triton", None),
        ("surgery._adapt", "from ..functional import resize\nfrom ._plan import plan", None),
        ("__main__", "from . import report", None),
        ("models._pretrained", "def f():\n    from ..transforms import ResizePolicy", None),
        ("models._pretrained", "from ..transforms import ResizePolicy", "imports transforms"),
        ("models._pretrained", "def f():\n    from ..transforms._base import f", "imports transforms"),
        ("models._resnet", "def f():\n    from ..transforms import ResizePolicy", "imports transforms"),
    ],
)
def test_the_checker_finds_a_violation_and_nothing_else(module: str, source: str, problem: str | None) -> None:
    assert violations(f"resizenet.{module}", source) == ([f"resizenet.{module} {problem}"] if problem else [])


def test_the_checker_finds_a_circle_through_a_package_and_a_late_import() -> None:
    modules = {
        "resizenet.models.__init__": "from ._registry import create_model",
        "resizenet.models._registry": "from ._resnet import ResNet",
        "resizenet.models._resnet": "def late():\n    from . import create_model",
    }
    assert set(circle(import_graph(modules))) == set(modules)
    assert circle(import_graph({**modules, "resizenet.models._resnet": "from torch import nn"})) == []
