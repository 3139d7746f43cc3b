"""One network for several input sizes: BatchNorm with its own statistics and weights for each size."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._checks import is_sequence
from .._errors import ArgumentError, ShapeError, UnsupportedModelError
from .._modules import check_model, copy_model
from .._sizes import Size, parse_size


class _Choice:
    """The number of the size of the images that the network computes now; its norms and its hook share one."""

    def __init__(self) -> None:
        self.index = 0


class SwitchedNorm(nn.Module):
    """One BatchNorm for each input size of the network.

    Keys of the state dict are those of the BatchNorm after ``norms.0``, ``norms.1`` and so on.
    """

    def __init__(self, norm: _BatchNorm, count: int, choice: _Choice) -> None:
        super().__init__()
        self.norms = nn.ModuleList(copy.deepcopy(norm) for _ in range(count))
        self.choice = choice

    def forward(self, x: Tensor) -> Tensor:
        """The BatchNorm of the size with which the network was called."""
        out: Tensor = self.norms[self.choice.index](x)
        return out


class _ChooseBySize:
    """A forward pre-hook of the network: tells the norms which size the images have."""

    def __init__(self, sizes: tuple[tuple[int, int], ...], choice: _Choice) -> None:
        self.sizes, self.choice = sizes, choice

    def __call__(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs = [*args, *kwargs.values()]
        images = inputs[0] if inputs else None
        if not isinstance(images, Tensor) or images.ndim < 2:
            raise ShapeError(f"switch_norms: expected images as the first argument, got {type(images).__name__}")
        size = (images.shape[-2], images.shape[-1])
        if size not in self.sizes:
            listed = ", ".join(map(str, self.sizes))
            raise ShapeError(f"switch_norms: expected images of one of the sizes {listed}, got {size}")
        self.choice.index = self.sizes.index(size)


def switch_norms(model: nn.Module, sizes: Iterable[Size], *, inplace: bool = False) -> nn.Module:
    """Give each BatchNorm its own statistics, weight and bias for every input size; all other layers are shared.

    The statistics of feature maps depend on the input size. Each call of the model uses the set of statistics, weights
    and biases for the size of its images. At first, all sets equal those of the model. Train with batches of all sizes,
    as ``transforms.MultiResolutionBatchSampler`` makes them.

    Call the model itself, or a model that contains it. Other methods, such as ``forward_features``, do not select a
    set. They use that of the last call.

    Source: Wang et al. 2020, "Resolution Switchable Networks for Runtime Efficient Image Recognition" (arXiv
    2007.09558, section 3.1).

    Args:
        model: any model with BatchNorm whose first argument is the images, (..., H, W).
        sizes: the sizes of the images, each (height, width) in pixels or one int for a square.
        inplace: change the model itself instead of a copy.

    Returns:
        The changed model. It raises ShapeError for images of another size.

    Raises:
        ArgumentError: no size, or the same size twice.
        SizeError: a size that is not positive or not whole.
        UnsupportedModelError: the model has no BatchNorm, is one, is a result of this function, or cannot be copied.

    Example:
        >>> import torch
        >>> from resizenet import create_model
        >>> model = switch_norms(create_model("resnet20"), [16, 32])
        >>> model(torch.rand(2, 3, 16, 16)).shape
        torch.Size([2, 10])
        >>> [int(norm.num_batches_tracked) for norm in model.stem.norm.norms]
        [1, 0]
    """
    if not is_sequence(sizes):
        raise ArgumentError(f"sizes: expected a list of sizes, got {sizes!r}")
    parsed = tuple(map(parse_size, sizes))
    if not parsed or len(set(parsed)) < len(parsed):
        raise ArgumentError(f"sizes: expected at least one size and none twice, got {sizes!r}")
    check_model(model, operation="switch_norms")
    _check_norms(model)
    model = model if inplace else copy_model(model, operation="switch_norms")
    choice, switched = _Choice(), dict[nn.Module, nn.Module]()
    for parent in [*model.modules()]:
        for name, child in [*parent._modules.items()]:
            if isinstance(child, _BatchNorm):  # one that is used at several places stays shared
                norm = switched.setdefault(child, SwitchedNorm(child, len(parsed), choice))
                setattr(parent, name, norm)
    model.register_forward_pre_hook(_ChooseBySize(parsed, choice), with_kwargs=True)
    return model


def _check_norms(model: nn.Module) -> None:
    kinds = [type(module) for module in model.modules()]
    name = type(model).__name__
    if SwitchedNorm in kinds:
        raise UnsupportedModelError(f"switch_norms: {name} has switched norms already")
    if isinstance(model, _BatchNorm) or not any(issubclass(kind, _BatchNorm) for kind in kinds):
        raise UnsupportedModelError(f"switch_norms: expected a model that contains BatchNorm, got {name}")
