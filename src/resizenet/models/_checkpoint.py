"""Weights from elsewhere: the key layouts of the well-known repositories, mapped onto ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from .._checks import check_choice
from .._weights import Source, check_weights, read_weights
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


def load_checkpoint(model: ResNet, source: Source, *, layout: str = "auto") -> None:
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
