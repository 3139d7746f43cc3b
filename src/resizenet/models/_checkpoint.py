"""Weights from elsewhere: the key layouts of the well-known repositories, mapped onto ours."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .._errors import CheckpointError, check_choice
from ._resnet import ResNet

Rule = tuple[str, str | Callable[[re.Match[str]], str]]  # what re.sub takes


def _stage(first: int) -> Callable[[re.Match[str]], str]:
    """The name of the stage whose number, counted from ``first``, is the match's first group."""

    def name(match: re.Match[str]) -> str:
        return f"stages.{int(match[1]) - first}."

    return name


_TORCHVISION: tuple[Rule, ...] = (
    (r"^conv1\.", "stem.conv."),
    (r"^bn1\.", "stem.norm."),
    (r"^layer(\d+)\.", _stage(1)),
    (r"\.downsample\.", ".shortcut."),
    (r"\.bn(\d)\.", r".norm\1."),
)
_RESIDUAL_FUNCTION = {0: "conv1", 1: "norm1", 3: "conv2", 4: "norm2", 6: "conv3", 7: "norm3"}  # 2 and 5 are activations

# Each as read in the repository's source; torchvision's is also that of timm's ResNet and of chenyaofo/pytorch-cifar-models.
LAYOUTS: dict[str, tuple[Rule, ...]] = {
    "resizenet": (),
    "torchvision": _TORCHVISION,
    "pytorch-cifar": (*_TORCHVISION, (r"^linear\.", "fc.")),  # kuangliu; akamaster/pytorch_resnet_cifar10 too
    "pytorch-cifar100": (  # weiaicunzai
        (r"^conv1\.0\.", "stem.conv."),
        (r"^conv1\.1\.", "stem.norm."),
        (r"^conv(\d)_x\.", _stage(2)),
        *((rf"\.residual_function\.{i}\.", f".{name}.") for i, name in _RESIDUAL_FUNCTION.items()),
    ),
    "wide-resnet": (  # xternalz/WideResNet-pytorch
        (r"^conv1\.", "stem.conv."),
        (r"^bn1\.", "norm.0."),
        (r"^block(\d)\.layer\.", _stage(1)),
        (r"\.convShortcut\.", ".shortcut.0."),
        (r"\.bn(\d)\.", r".norm\1."),
    ),
}
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")  # of DistributedDataParallel and of torch.compile


def load_checkpoint(model: ResNet, source: str | os.PathLike[str] | Mapping[str, Any], *, layout: str = "auto") -> None:
    """Load weights that another repository or torchvision saved.

    The keys are renamed, never guessed: every weight of the model must be there in its shape, and nothing else. Only
    ``num_batches_tracked``, which torch before 0.4.1 did not save, may be missing. For another number of classes, build the model
    with that of the checkpoint, load, then ``reset_classifier``.

    Args:
        model: the network; it is changed only if everything fits.
        source: a file, read with ``weights_only=True``, or a state dict. Either may be wrapped in a dict under "state_dict",
            "model_state_dict", "model" or "net", with keys that begin with "module." or "_orig_mod.".
        layout: "resizenet", "torchvision" (timm's ResNet too), "pytorch-cifar" (kuangliu, akamaster), "pytorch-cifar100"
            (weiaicunzai), "wide-resnet" (xternalz), or "auto": the one whose keys agree best with the model's.

    Raises:
        CheckpointError: a file that is no checkpoint, or keys that are missing, unexpected or of the wrong shape, all of them named.
        UnknownNameError: an unknown layout.
        FileNotFoundError: no such file.

    Example:
        >>> import torchvision
        >>> from resizenet.models import load_checkpoint, resnet18
        >>> model = resnet18(stem="imagenet", num_classes=1000)
        >>> load_checkpoint(model, torchvision.models.resnet18().state_dict())
    """
    check_choice("layout", layout, ("auto", *LAYOUTS))
    state = _unwrap(_read(source))
    target = model.state_dict()
    candidates = [_translate(state, rules) for name, rules in LAYOUTS.items() if layout in ("auto", name)]
    found = max(candidates, key=lambda candidate: len(candidate.keys() & target.keys()))
    _check(found, target, type(model).__name__)
    model.load_state_dict(found, strict=False)


def _read(source: str | os.PathLike[str] | Mapping[str, Any]) -> Any:
    if isinstance(source, Mapping):
        return source
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"load_checkpoint: {os.fspath(source)} cannot be read with weights_only=True: {error}") from error


def _unwrap(state: Any) -> dict[str, Tensor]:
    """The tensors by name, without wrappers and prefixes."""
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"load_checkpoint: expected tensors by name, or those under one of {', '.join(map(repr, _WRAPPERS))}, got {_kinds(state)}")
    return {_PREFIXES.sub("", name): tensor for name, tensor in state.items()}


def _kinds(state: Any) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return ", ".join(f"{name!r}: {type(value).__name__}" for name, value in list(state.items())[:5]) or "nothing"


def _translate(state: Mapping[str, Tensor], rules: tuple[Rule, ...]) -> dict[str, Tensor]:
    def rename(name: str) -> str:
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name

    return {rename(name): tensor for name, tensor in state.items()}


def _check(found: Mapping[str, Tensor], target: Mapping[str, Tensor], model: str) -> None:
    missing = [name for name in target if name not in found and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in found if name not in target]
    misshapen = [
        f"{name} {tuple(found[name].shape)} where the model has {tuple(tensor.shape)}"
        for name, tensor in target.items()
        if name in found and found[name].shape != tensor.shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of the wrong shape": misshapen}
    if any(faults.values()):
        lines = [f"  {kind}: {', '.join(names)}" for kind, names in faults.items() if names]
        raise CheckpointError("\n".join([f"load_checkpoint: the checkpoint does not fit {model}, which is unchanged (names as in the model)", *lines]))
