"""``python -m resizenet report resnet50 --size 32`` and ``python -m resizenet models``."""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from . import GeometryReport, ResizenetError, create_model, list_models, report
from ._errors import ArgumentError, UnknownNameError
from .models._registry import FACTS

_MODEL = """one of torchvision's models, of `python -m resizenet models`, or of timm's if that is installed, looked up in this order; with torchvision/,
resizenet/ or timm/ before the name, of that package; or module:callable, for something that returns a model"""


Makers = dict[str, Callable[[], nn.Module]]


def _torchvision() -> Makers:
    return {
        name: partial(torchvision.models.get_model, name, weights=None)
        for name in torchvision.models.list_models(module=torchvision.models)
    }


def _ours() -> Makers:
    return {name: partial(create_model, name) for name in list_models()}


def _timm() -> Makers:
    if importlib.util.find_spec("timm") is None:
        return {}
    timm: Any = importlib.import_module("timm")
    return {name: partial(timm.create_model, name) for name in timm.list_models()}


_PACKAGES = {"torchvision": _torchvision, "resizenet": _ours, "timm": _timm}


def _model(name: str) -> nn.Module:
    """The model of that name, without values where it can be made so.

    Raises:
        UnknownNameError: there is none; the message has the closest names.
        ArgumentError: ``module:callable`` that does not lead to a model.
    """
    if ":" in name:
        return _called(name)
    package, slash, bare = name.partition("/")
    if not slash or package not in _PACKAGES:
        package, bare = ", ".join(_PACKAGES), name
    known: list[str] = []
    for searched in package.split(", "):
        makers = _PACKAGES[searched]()
        if bare in makers:
            return _without_values(makers[bare])
        known.extend(makers)
    close = difflib.get_close_matches(bare, dict.fromkeys(known), n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(map(repr, close))}?" if close else ""
    raise UnknownNameError(f"model: no {bare!r} among the models of {package}{hint}")


def _without_values(make: Callable[[], nn.Module]) -> nn.Module:
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # torchvision's, about how weights are going to be initialised
            return make()
    except NotImplementedError:  # a model that reads a value while it is made, such as torchvision's RegNet
        return make()


def _called(name: str) -> nn.Module:
    module, _, path = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # a script beside the user, as python -m would find it
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ArgumentError(f"model: {name!r} leads nowhere: {error}") from None
    finally:
        sys.path.remove(str(Path.cwd()))
    model = found if isinstance(found, nn.Module) else found() if callable(found) else found
    if not isinstance(model, nn.Module):
        raise ArgumentError(
            f"model: expected {name!r} to lead to a model or to something that returns one, got {type(model).__name__}"
        )
    return model


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m resizenet", description="What an input size does to a model.")
    commands = parser.add_subparsers(dest="command", required=True)
    geometry = commands.add_parser("report", help="maps, strides, receptive fields, MACs and parameters")
    geometry.add_argument("model", help=_MODEL)
    geometry.add_argument(
        "--size",
        type=int,
        nargs="+",
        default=[224],
        metavar="PX",
        help="one number for a square, or height and width (default: 224)",
    )
    geometry.add_argument("--in-channels", type=int, default=3, metavar="N", help="channels of the image (default: 3)")
    geometry.add_argument("--layers", action="store_true", help="a line per layer instead of one per stage")
    geometry.add_argument("--json", action="store_true", help="print JSON instead of a table")
    geometry.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="also draw maps and receptive fields into this file, such as out.png; needs matplotlib",
    )
    commands.add_parser(
        "models", help="names of the small-image models, with parameters and MACs at 32 px for 10 classes"
    )
    return parser


def _print_models() -> None:
    for name in list_models():
        print(f"{name:<20} {FACTS[name].params:>12,} parameters {FACTS[name].macs:>16,} MACs")


def _print_report(found: GeometryReport, *, layers: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict()))
    elif not layers and sys.stdout.isatty() and importlib.util.find_spec("rich"):
        importlib.import_module("rich.console").Console().print(found)
    else:
        print(found.table(layers=layers))


def _draw(found: GeometryReport, path: Path) -> None:
    try:
        found.plot().savefig(path)
    except ValueError as error:  # of an ending that matplotlib does not know
        raise ArgumentError(f"plot: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 2 after a mistake in the arguments."""
    options = _parser().parse_args(arguments)
    if options.command == "models":
        _print_models()
        return 0
    try:
        size = options.size[0] if len(options.size) == 1 else options.size
        found = report(_model(options.model), size, in_channels=options.in_channels)
        if options.plot is not None:
            _draw(found, options.plot)
    except (ResizenetError, ModuleNotFoundError, OSError) as error:
        print(f"resizenet: {error}", file=sys.stderr)
        return 2
    _print_report(found, layers=options.layers, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
