"""The command ``resizenet``, also run by ``python -m resizenet``: report, compare, audit and models."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from . import GeometryReport, ResizeAudit, ResizenetError, __version__, audit, create_model, list_models, report
from ._checks import did_you_mean
from ._errors import ArgumentError, UnknownNameError
from ._text import format_count
from .geometry import Comparison, compare
from .geometry.render._text import format_table
from .models import list_weights
from .models._registry import FACTS

_MODEL = """a model of torchvision, of `resizenet models` or of timm, if that is installed, searched in this
order; torchvision/, resizenet/ or timm/ before the name selects the package; or module:attribute, for a model or a
function that returns one"""

_PIPELINE = """module:attribute of a function, transform or policy from an image to an image, or text such as
"opencv area 224"; give one to identify it, or two to compare them"""

Makers = dict[str, Callable[[], nn.Module]]


def _torchvision() -> Makers:
    names = torchvision.models.list_models(module=torchvision.models)
    return {name: partial(torchvision.models.get_model, name, weights=None) for name in names}


def _resizenet() -> Makers:
    return {name: partial(create_model, name) for name in list_models()}


def _timm() -> Makers:
    if not _has_timm():
        return {}
    timm: Any = importlib.import_module("timm")
    names = dict.fromkeys([*timm.list_models(), *timm.list_models(pretrained=True)])  # the latter have tags
    return {name: partial(timm.create_model, name) for name in names}


def _has_timm() -> bool:
    return importlib.util.find_spec("timm") is not None


_PACKAGES = {"torchvision": _torchvision, "resizenet": _resizenet, "timm": _timm}


def _load(name: str) -> nn.Module:
    """Return the model with this name, without values if it can be made without."""
    if ":" in name:
        return _load_attribute(name)
    package, slash, bare = name.partition("/")
    if not slash or package not in _PACKAGES:
        package, bare = "", name
    searched = [package] if package else list(_PACKAGES)
    names: list[str] = []
    for makers in (_PACKAGES[name]() for name in searched):
        if bare in makers:
            with _errors_as_arguments(f"{name!r} cannot be made"):
                return _without_values(makers[bare])
        names.extend(makers)
    missing = "; timm is not installed" if "timm" in searched and not _has_timm() else ""
    hint = did_you_mean(bare, names)
    raise UnknownNameError(f"model: no {bare!r} among the models of {', '.join(searched)}{hint}{missing}")


@contextmanager
def _errors_as_arguments(problem: str, argument: str = "model") -> Iterator[None]:
    """Raise ArgumentError for whatever the user's or another package's code raises."""
    try:
        yield
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ArgumentError(f"{argument}: {problem}: {reason}") from None


def _without_values(make: Callable[[], nn.Module]) -> nn.Module:
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")  # torchvision warns that a default initialization will change
            return make()
    except RuntimeError:  # some constructors read values, such as that of torchvision's RegNet
        return make()


def _load_attribute(name: str) -> nn.Module:
    """Return the model at ``module:attribute``, or the one that the function there returns."""
    with _import_path():
        found = _find_attribute("model", name)
        with _errors_as_arguments(f"{name!r} cannot be loaded"):
            model = found() if callable(found) and not isinstance(found, nn.Module) else found
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model: expected {name!r} to be or return a model, got {type(model).__name__}")
    return model


@contextmanager
def _import_path() -> Iterator[None]:
    """Import from the current directory too, as python -m does."""
    paths = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = paths


def _find_attribute(argument: str, name: str) -> Any:
    """Return what is at ``module:attribute``."""
    module, _, path = name.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *path.split(".")]):
        raise ArgumentError(f"{argument}: expected a name or module:attribute, got {name!r}")
    with _errors_as_arguments(f"{name!r} cannot be loaded", argument):
        return attrgetter(path)(importlib.import_module(module))


def _add_audit(command: argparse.ArgumentParser) -> None:
    command.add_argument("pipelines", nargs="+", metavar="PIPELINE", help=_PIPELINE)
    command.add_argument(
        "--size", type=int, nargs="+", required=True, metavar="PX", help="height and width of the test images"
    )
    command.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        metavar="LEVELS",
        help="exit with status 1 if two pipelines differ by more levels of 0 to 255 (default: 1)",
    )
    command.add_argument("--plot", metavar="FILE", help="draw the results and their difference, such as out.png")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="resizenet", description="What an input size does to a model.")
    parser.add_argument("--version", action="version", version=f"resizenet {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("report", help="maps, strides, receptive fields, MACs and parameters at one size")
    several = commands.add_parser("compare", help="the maps and MACs at several sizes, side by side")
    for command in (one, several):
        command.add_argument("model", help=_MODEL)
        command.add_argument(
            "--in-channels", type=int, default=3, metavar="N", help="channels of the image (default: 3)"
        )
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    one.add_argument(
        "--size",
        type=int,
        nargs="+",
        default=[224],
        metavar="PX",
        help="one number for a square; two numbers are height and width, not two sizes (default: 224)",
    )
    one.add_argument("--layers", action="store_true", help="a line per layer instead of one per stage")
    one.add_argument("--plot", metavar="FILE", help="draw maps and receptive fields into a file, such as out.png")
    several.add_argument(
        "--sizes", type=int, nargs="+", default=[32, 64, 128, 224], metavar="PX", help="sides of square images"
    )
    _add_audit(
        commands.add_parser("audit", help="the library whose resize a pipeline computes, or two pipelines compared")
    )
    models = commands.add_parser("models", help="names, parameters and MACs of the models for small images")
    models.add_argument("--weights", action="store_true", help="list the trained weights that come with the package")
    return parser


def _print_models() -> None:
    facts = ((name, FACTS[name]) for name in list_models())
    rows = [(name, format_count(found.params), format_count(found.macs)) for name, found in facts]
    print("\n".join(format_table([("model", "parameters", "MACs at 32 px"), *rows])))


def _print_weights() -> None:
    header = ("model", "weights", "parameters", "accuracy", "runs", "epochs", "license")
    rows = [
        (
            *(found.model, found.name, format_count(found.parameters), f"{found.accuracy:.2f} %"),
            *(str(len(found.accuracy_by_seed)), str(found.epochs), found.license),
        )
        for found in list_weights()
    ]
    print("\n".join(format_table([header, *rows])))


def _print(found: GeometryReport | Comparison, text: str, *, as_json: bool) -> None:
    """Print as JSON, by rich on a terminal, or as text."""
    if as_json:
        print(json.dumps(found.to_dict()))
    elif sys.stdout.isatty() and importlib.util.find_spec("rich"):
        importlib.import_module("rich.console").Console().print(found)
    else:
        print(text)


def _plot(found: GeometryReport | ResizeAudit, path: str) -> None:
    if not Path(path).suffix or Path(path).is_dir():
        raise ArgumentError(f"plot: expected a file such as out.png, got {path!r}")
    try:
        found.plot().savefig(path)
    except ValueError as error:  # matplotlib does not support the file's suffix
        raise ArgumentError(f"plot: {error}") from None


def _report(options: argparse.Namespace) -> None:
    size = options.size[0] if len(options.size) == 1 else options.size
    found = report(_load(options.model), size, in_channels=options.in_channels)
    if options.plot is not None:
        _plot(found, options.plot)
    if options.layers and not options.json:
        print(found.table(layers=True))
    else:
        _print(found, str(found), as_json=options.json)


def _audit(options: argparse.Namespace) -> int:
    """Print the audit; return 1 if two pipelines differ by more than the tolerance, or cannot be compared."""
    if len(options.pipelines) > 2:
        raise ArgumentError(f"audit: expected one pipeline or two, got {len(options.pipelines)}")
    with _import_path():
        pipelines = [_find_attribute("pipeline", name) if ":" in name else name for name in options.pipelines]
        found = audit(*pipelines, size=options.size[0] if len(options.size) == 1 else options.size)
    if options.plot is not None:
        _plot(found, options.plot)
    print(found)
    agree = found.difference is not None and found.difference.largest <= options.tolerance
    return 0 if len(pipelines) == 1 or agree else 1


def _run(options: argparse.Namespace) -> int:
    status = 0
    if options.command == "models":
        _print_weights() if options.weights else _print_models()
    elif options.command == "compare":
        found = compare(_load(options.model), options.sizes, in_channels=options.in_channels)
        _print(found, str(found), as_json=options.json)
    elif options.command == "audit":
        status = _audit(options)
    else:
        _report(options)
    sys.stdout.flush()
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    It is 2 after a mistake, and 1 if the output was closed early or if two pipelines differ by more than the tolerance.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:  # such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again when it exits
        return 1
    except (ResizenetError, ModuleNotFoundError, OSError) as error:
        print(f"resizenet: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
