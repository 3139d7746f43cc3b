"""Copy a model, and check that its weights can be read and replaced."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from ._errors import UnsupportedModelError

Module = TypeVar("Module", bound=nn.Module)

_SHARDED = {"DTensor", "FSDPModule", "FullyShardedDataParallel"}  # by name: not every torch has torch.distributed


def check_model(model: object, *, operation: str, may_be_sharded: bool = False) -> None:
    """Raise UnsupportedModelError unless ``model`` is a module whose weights are there and, by default, not sharded."""
    if not isinstance(model, nn.Module):
        raise UnsupportedModelError(f"{operation}: expected a model that is a torch.nn.Module, got {model!r}")
    name, tensors = type(model).__name__, [*model.parameters(), *model.buffers()]
    if any(map(is_lazy, tensors)):
        raise UnsupportedModelError(
            f"{operation}: {name} has lazy modules, whose weights have no shape before the first call; call it once"
        )
    kinds = {kind.__name__ for part in [*model.modules(), *tensors] for kind in type(part).__mro__}
    if kinds & _SHARDED and not may_be_sharded:
        raise UnsupportedModelError(
            f"{operation}: the parameters of {name} are sharded; call {operation} before sharding"
        )


def check_parameters(
    module: nn.Module, path: str, *, operation: str, names: tuple[str, ...] = ("weight", "bias")
) -> None:
    """Raise UnsupportedModelError if the module at ``path`` computes its weight or bias from other tensors.

    Pruning, weight norm, spectral norm and other parametrizations do that in each call.
    """
    for name in names:
        if isinstance(getattr(module, name, None), Tensor) and module._parameters.get(name) is None:
            raise UnsupportedModelError(
                f"{operation}: expected {path}.{name} to be a parameter, but it is computed from other tensors; make "
                "it one with torch.nn.utils.prune.remove or torch.nn.utils.parametrize.remove_parametrizations"
            )


def copy_model(model: Module, *, operation: str) -> Module:
    """Return a deep copy.

    Tensors with a history, such as the weight that a pruned layer computes in each call, are copied without it.

    Raises:
        UnsupportedModelError: the model cannot be copied.
    """
    check_model(model, operation=operation)
    try:
        with _CopyWithoutHistory():
            return copy.deepcopy(model)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UnsupportedModelError(f"{operation}: {type(model).__name__} cannot be copied: {reason}") from error


class _CopyWithoutHistory(TorchFunctionMode):
    """Lets ``deepcopy`` copy tensors with a history, which it refuses.

    Upstream: https://github.com/pytorch/pytorch/issues/37322, seen in torch 2.15. It can go when ``deepcopy`` of a
    pruned layer works after a call.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))
