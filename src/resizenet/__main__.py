"""Commands: ``python -m resizenet report resnet50 --size 32`` and ``python -m resizenet models``."""

from __future__ import annotations

import argparse
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
from ._checks import did_you_mean
from ._errors import ArgumentError, UnknownNameError
from .models._registry import FACTS

_MODEL = """a model of torchvision, of `python -m resizenet models` or of timm, if that is installed, searched in this
order; torchvision/, resizenet/ or timm/ before the name selects the package; or module:attribute, for a model or a
function that returns one"""

Makers = dict[str, Callable[[], nn.Module]]


def _torchvision() -> Makers:
    names = torchvision.models.list_models(module=torchvision.models)
    return {name: partial(torchvision.models.get_model, name, weights=None) for name in names}


def _resizenet() -> Makers:
    return {name: partial(create_model, name) for name in list_models()}


def _timm() -> Makers:
    if importlib.util.find_spec("timm") is None:
        return {}
    timm: Any = importlib.import_module("timm")
    return {name: partial(timm.create_model, name) for name in timm.list_models()}


_PACKAGES = {"torchvision": _torchvision, "resizenet": _resizenet, "timm": _timm}


def _load(name: str) -> nn.Module:
    """Return the model with this name, without values if it can be made without."""
    if ":" in name:
        return _load_attribute(name)
    package, slash, bare = name.partition("/")
    packages = [package] if slash and package in _PACKAGES else list(_PACKAGES)
    bare = bare if slash and package in _PACKAGES else name
    names: list[str] = []
    for package in packages:
        makers = _PACKAGES[package]()
        if bare in makers:
            return _without_values(makers[bare])
        names.extend(makers)
    raise UnknownNameError(f"model: no {bare!r} among the models of {', '.join(packages)}{did_you_mean(bare, names)}")


def _without_values(make: Callable[[], nn.Module]) -> nn.Module:
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # torchvision warns that a default initialization will change
            return make()
    except NotImplementedError:  # some constructors read values, such as that of torchvision's RegNet
        return make()


def _load_attribute(name: str) -> nn.Module:
    """Return the model at ``module:attribute``, or the one that the function there returns."""
    module, _, path = name.partition(":")
    folder = str(Path.cwd())  # python -m searches it too
    sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ArgumentError(f"model: cannot load {name!r}: {error}") from None
    finally:
        sys.path.remove(folder)
    model = found if isinstance(found, nn.Module) else found() if callable(found) else found
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model: expected {name!r} to be or return a model, got {type(model).__name__}")
    return model


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m resizenet", description="What an input size does to a model.")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("report", help="maps, strides, receptive fields, MACs and parameters").add_argument
    add("model", help=_MODEL)
    add(
        "--size",
        type=int,
        nargs="+",
        default=[224],
        metavar="PX",
        help="one number for a square, or height and width (default: 224)",
    )
    add("--in-channels", type=int, default=3, metavar="N", help="channels of the image (default: 3)")
    add("--layers", action="store_true", help="a line per layer instead of one per stage")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--plot", type=Path, metavar="FILE", help="draw maps and receptive fields into a file, such as out.png")
    commands.add_parser(
        "models", help="names, parameters and MACs of the models for small images, at 32 px, 10 classes"
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


def _plot(found: GeometryReport, path: Path) -> None:
    try:
        found.plot().savefig(path)
    except ValueError as error:  # matplotlib does not support the file's suffix
        raise ArgumentError(f"plot: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status, which is 2 if an argument is wrong."""
    options = _parser().parse_args(arguments)
    if options.command == "models":
        _print_models()
        return 0
    try:
        size = options.size[0] if len(options.size) == 1 else options.size
        found = report(_load(options.model), size, in_channels=options.in_channels)
        if options.plot is not None:
            _plot(found, options.plot)
    except (ResizenetError, ModuleNotFoundError, OSError) as error:
        print(f"resizenet: {error}", file=sys.stderr)
        return 2
    _print_report(found, layers=options.layers, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
