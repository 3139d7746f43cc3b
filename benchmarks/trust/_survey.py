"""Whether ``report`` takes the models of three libraries, made without values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import timm
import torch
import torchvision
from torch import nn

import resizenet as rn

SIZES = (64, 224)  # models that take one size only take the second


def models() -> Iterator[tuple[str, str, Callable[[], nn.Module]]]:
    """(library, name, function): all of torchvision's and ours, and the first of each of timm's families."""
    for name in rn.list_models():
        yield "resizenet", name, lambda name=name: rn.create_model(name)
    for name in torchvision.models.list_models(module=torchvision.models):
        yield "torchvision", name, lambda name=name: torchvision.models.get_model(name, weights=None)
    for family in timm.list_modules():
        for name in timm.list_models(module=family)[:1]:
            yield "timm", name, lambda name=name: timm.create_model(name, pretrained=False)


def without_values(make: Callable[[], nn.Module]) -> nn.Module:
    """The model on the meta device, made there unless it reads values while it is made."""
    try:
        with torch.device("meta"):
            return make()
    except (NotImplementedError, RuntimeError):
        return make().to("meta")


def outcome(model: nn.Module) -> str:
    """Return "done", "refused" for an error of resizenet at both sizes, or the type of another error."""
    for size in SIZES:
        try:
            rn.report(model, size)
        except rn.ResizenetError:
            continue
        except Exception as error:
            return type(error).__name__
        return "done"
    return "refused"


def survey(only: str = "") -> dict[str, dict[str, list[str]]]:
    """The names of the models whose names contain ``only``, by library and outcome."""
    found: dict[str, dict[str, list[str]]] = {}
    for library, name, make in models():
        if only not in name:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, while a model is made
            result = outcome(without_values(make))
        found.setdefault(library, {}).setdefault(result, []).append(name)
        print(library, name, result, flush=True)
    return found
