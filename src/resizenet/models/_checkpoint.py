"""Checkpoints of well-known repositories: their key layouts, mapped onto ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from torch import Tensor

from .._checks import check_choice
from .._errors import UnsupportedModelError
from .._weights import Source, check_weights, read_weights
from ._resnet import ResNet

Rule = tuple[str, str | Callable[[re.Match[str]], str]]  # what re.sub takes


def _stage(first: int) -> Callable[[re.Match[str]], str]:
    """A replacement: the stage whose number, counted from ``first``, is the match's first group."""

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

Layout = Literal["auto", "resizenet", "torchvision", "pytorch-cifar", "pytorch-cifar100", "wide-resnet"]
# Read in each repository's source. timm's ResNet and chenyaofo/pytorch-cifar-models have torchvision's layout.
LAYOUTS: dict[Layout, tuple[Rule, ...]] = {
    "resizenet": (),
    "torchvision": _TORCHVISION,
    "pytorch-cifar": (*_TORCHVISION, (r"^linear\.", "fc.")),  # kuangliu, and akamaster/pytorch_resnet_cifar10
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


def load_checkpoint(model: ResNet, source: Source, *, layout: Layout = "auto") -> None:
    """Load weights that another repository or torchvision saved.

    The keys are renamed by fixed rules. Every weight of the model must be in the checkpoint with the same shape, and
    the checkpoint must have no other weights. Only ``num_batches_tracked``, which torch before 0.4.1 did not save, may
    be missing. For another number of classes, build the model with the checkpoint's number, load the weights, then call
    ``reset_classifier``.

    Args:
        model: the network; it is changed only if everything fits.
        source: a file, read with ``weights_only=True``, or a state dict. Either may be wrapped in a dict under
            "state_dict", "model_state_dict", "model" or "net", with keys that begin with "module." or "_orig_mod.".
        layout: "resizenet", "torchvision" (timm's ResNet too), "pytorch-cifar" (kuangliu, akamaster),
            "pytorch-cifar100" (weiaicunzai), "wide-resnet" (xternalz), or "auto": the layout that maps the most keys
            onto the model's.

    Raises:
        CheckpointError: a file that is no checkpoint, or keys that are missing, unexpected or of the wrong shape; the
            message names every key at fault.
        UnsupportedModelError: a model that is not a ``ResNet`` of this library.
        UnknownNameError: an unknown layout.
        FileNotFoundError: no such file.

    Example:
        >>> import torchvision
        >>> from resizenet.models import load_checkpoint, resnet18
        >>> model = resnet18(stem="imagenet", num_classes=1000)
        >>> load_checkpoint(model, torchvision.models.resnet18().state_dict())
    """
    if not isinstance(model, ResNet):
        raise UnsupportedModelError(f"load_checkpoint: expected a resizenet.models.ResNet, got {type(model).__name__}")
    check_choice("layout", layout, get_args(Layout))
    state = read_weights(source, operation="load_checkpoint")
    target = model.state_dict()
    candidates = [_translate(state, rules) for name, rules in LAYOUTS.items() if layout in ("auto", name)]
    found = max(candidates, key=lambda candidate: len(candidate.keys() & target.keys()))
    check_weights(found, target, operation="load_checkpoint", model=type(model).__name__)
    model.load_state_dict(found, strict=False)


def _translate(state: Mapping[str, Tensor], rules: tuple[Rule, ...]) -> dict[str, Tensor]:
    def rename(name: str) -> str:
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name

    return {rename(name): tensor for name, tensor in state.items()}
