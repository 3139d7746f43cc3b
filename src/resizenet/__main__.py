"""``python -m resizenet report resnet50 --size 32`` and ``python -m resizenet models``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import torchvision
from torch import nn

from . import ResizenetError, create_model, list_models, report
from ._errors import check_choice
from .models._zoo import ENTRIES


def _model(name: str) -> nn.Module:
    """One of our models, or torchvision's."""
    if name in list_models():
        return create_model(name)
    theirs = torchvision.models.list_models(module=torchvision.models)
    check_choice("model", name, [*list_models(), *theirs])
    model: nn.Module = torchvision.models.get_model(name, weights=None)
    return model


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m resizenet", description="What an input size does to a model.")
    commands = parser.add_subparsers(dest="command", required=True)
    geometry = commands.add_parser("report", help="maps, strides, receptive fields, MACs and parameters")
    geometry.add_argument("model", help="a name from `python -m resizenet models`, or one of torchvision's")
    geometry.add_argument("--size", type=int, nargs="+", default=[224], metavar="PX", help="one number for a square, or height and width (default: 224)")
    geometry.add_argument("--json", action="store_true", help="print JSON instead of a table")
    commands.add_parser("models", help="names of the small-image models, with parameters and MACs at 32 px for 10 classes")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 2 after a mistake in the arguments."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "models":
            for name in list_models():
                print(f"{name:<20} {ENTRIES[name].params:>12,} parameters {ENTRIES[name].macs:>16,} MACs")
            return 0
        size = options.size[0] if len(options.size) == 1 else options.size
        found = report(_model(options.model), size)
    except ResizenetError as error:
        print(f"resizenet: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found.to_dict()) if options.json else found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
