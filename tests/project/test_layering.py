"""The house's arrows: what each part of the library may import, read from the source and not from what happens to be loaded."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import resizenet

ROOT = Path(resizenet.__file__).parent
NEEDS = {  # CONTRIBUTING, "Where things go"; the face and the command may import everything
    "_errors": set(),
    "_checks": {"_errors"},
    "_sizes": {"_errors", "_checks"},
    "_weights": {"_errors"},
    "kernels": {"_errors", "_checks", "_sizes"},
    "functional": {"_errors", "_checks", "_sizes", "kernels"},
    "resizers": {"_errors", "_checks", "_sizes", "_weights", "functional", "kernels"},
    "models": {"_errors", "_checks", "_sizes", "_weights", "functional"},
    "transforms": {"_errors", "_checks", "_sizes", "functional"},
    "_tracing": {"_errors", "_checks", "_sizes"},
    "surgery": {"_errors", "_checks", "_sizes", "functional", "_tracing"},
    "geometry": {"_errors", "_checks", "_sizes", "_tracing", "surgery"},
}
SHARED = {  # private files that the rooms above may import; every other one is closed to them
    "functional._memory_format",
    "functional._resize",
    "surgery._families",
    "surgery._stems",
}
ALLOWED = {"torch", "torchvision", "einops"}  # the run-time dependencies
OPTIONAL = {  # imported late, where they are installed; tests/project/test_import.py sees to it
    "resizenet.kernels": {"triton"},
    "resizenet.geometry": {"matplotlib", "rich"},
    "resizenet.surgery": {"rich"},
    "resizenet.__main__": {"rich", "timm"},
}
NO_TORCH = {"_errors", "_checks", "_sizes"}
STDLIB_ONLY_FOR_TYPES = {"typing_extensions"}


def imported(module: str, source: str) -> Iterator[str]:
    """Absolute names of everything that a module imports, at any depth; ``from a import b`` is a.b."""
    package = module.split(".") if module.endswith(".__init__") else module.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def violations(module: str, source: str) -> list[str]:
    """What ``module``, such as "resizenet.models._zoo", imports and must not."""
    layer = module.split(".")[1]
    if layer in {"__init__", "__main__"}:
        return []
    if layer not in NEEDS:
        return [f"{module} is in no layer"]
    found = []
    for name in imported(module, source):
        top, *inside = name.split(".")
        if top == "triton" and layer != "kernels":
            found.append(f"{module} imports triton; only kernels may")
        elif top == "torch" and layer in NO_TORCH:
            found.append(f"{module} imports torch")
        elif top == "resizenet":
            if inside[0] != layer and inside[0] not in NEEDS[layer]:
                found.append(f"{module} imports {inside[0]}")
            elif inside[0] != layer and inside[1:] and inside[1].startswith("_") and ".".join(inside[:2]) not in SHARED:
                found.append(f"{module} imports the private {name}")
    return found


def sources() -> dict[str, str]:
    return {
        ".".join(("resizenet", *path.relative_to(ROOT).with_suffix("").parts)): path.read_text()
        for path in sorted(ROOT.rglob("*.py"))
    }


def test_the_walk_sees_the_library() -> None:
    assert {
        "resizenet.__init__",
        "resizenet._sizes",
        "resizenet.functional._resize",
        "resizenet.surgery.__init__",
    } <= set(sources())
    assert {module.split(".")[1] for module in sources()} - {"__init__", "__main__", "kernels"} == set(NEEDS) - {
        "kernels"
    }


def test_arrows_only_go_down_the_list() -> None:
    assert [problem for module, source in sources().items() for problem in violations(module, source)] == []


def test_the_rules_themselves_have_no_cycle_and_no_arrows_between_siblings() -> None:
    order = list(NEEDS)
    assert all(order.index(needed) < order.index(layer) for layer, needs in NEEDS.items() for needed in needs)
    siblings = {"resizers", "models", "transforms", "_tracing"}
    assert not any(NEEDS[layer] & siblings for layer in siblings)


def test_third_parties_are_the_run_time_dependencies() -> None:
    known = ALLOWED | STDLIB_ONLY_FOR_TYPES | {"resizenet"} | set(sys.stdlib_module_names)
    for module, source in sources().items():
        extra = OPTIONAL.get(".".join(module.split(".")[:2]), set())
        assert {name.split(".")[0] for name in imported(module, source)} <= known | extra, module


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("resizenet.models._zoo", "from ..resizers import Resizer", "resizenet.models._zoo imports resizers"),
        ("resizenet.models._zoo", "from .. import transforms", "resizenet.models._zoo imports transforms"),
        ("resizenet.models.__init__", "from ..geometry import report", "resizenet.models.__init__ imports geometry"),
        ("resizenet._tracing._field", "import resizenet.surgery", "resizenet._tracing._field imports surgery"),
        (
            "resizenet.functional._resize",
            "def late():\n    import triton.language as tl",
            "resizenet.functional._resize imports triton; only kernels may",
        ),
        ("resizenet._sizes", "from torch import Tensor", "resizenet._sizes imports torch"),
        ("resizenet._errors", "from ._sizes import Size", "resizenet._errors imports _sizes"),
        (
            "resizenet.resizers._base",
            "from ..functional._fold import fold_upscale",
            "resizenet.resizers._base imports the private resizenet.functional._fold.fold_upscale",
        ),
        ("resizenet.helpers", "", "resizenet.helpers is in no layer"),
    ],
)
def test_the_checker_catches_a_violation(module: str, source: str, problem: str) -> None:
    assert violations(module, source) == [problem]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("resizenet.kernels._fused", "import triton"),
        (
            "resizenet.surgery._adapt",
            "from ..functional import resize\nfrom ._families import family_of",
        ),
        ("resizenet.__main__", "from . import report"),
    ],
)
def test_the_checker_lets_the_rest_pass(module: str, source: str) -> None:
    assert violations(module, source) == []
