"""Copies a model onto meta tensors, which have a shape and no values.

Such a copy is cheap, and whatever runs on it leaves the model alone.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

from .._errors import UnsupportedModelError
from .._modules import check_model
from ._failure import reason_of

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_WEIGHT_HOOKS = (BasePruningMethod, WeightNorm, SpectralNorm)  # without them a module has no weight


class _CopyToMeta(TorchFunctionMode):
    """Makes ``deepcopy`` copy tensors to the meta device.

    Tensors with a history are copied too, which ``deepcopy`` refuses (https://github.com/pytorch/pytorch/issues/54580).
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.__deepcopy__, Tensor.clone):  # a parameter clones its values
            return torch.empty_like(args[0], device="meta")
        return func(*args, **(kwargs or {}))


def skeleton(model: nn.Module, *, operation: str = "report") -> nn.Module:
    """Return a copy without values, in eval mode, without gradients and without hooks, except those that make weights.

    Raises:
        UnsupportedModelError: the model cannot be copied, or its tensors have no shape yet.
    """
    check_model(model, operation=operation)
    name = type(model).__name__
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UnsupportedModelError(
            f"{operation}: {name} is or contains a scripted module, which cannot be inspected; "
            f"{operation} the module that was scripted"
        )
    try:
        with torch.inference_mode(False), _CopyToMeta():
            copied = copy.deepcopy(model, _substitutes(model))
    except Exception as error:
        raise UnsupportedModelError(
            f"{operation}: traces a copy without values, and {name} cannot be copied: {reason_of(error)}"
        ) from error
    if not {*copied.modules()}.isdisjoint(model.modules()):
        raise UnsupportedModelError(
            f"{operation}: traces a copy without values, and a copy of {name} shares modules with it"
        )
    for module in copied.modules():
        if getattr(module, "padding_mode", None) == "circular":  # slices are copied into it, which cannot be traced
            module.padding_mode = "replicate"  # type: ignore[assignment]
    return copied.eval().requires_grad_(False)


def _substitutes(model: nn.Module) -> dict[int, Any]:
    """Return what replaces hooks and random generators in the copy, by id, as a memo for ``deepcopy``."""
    substitutes: dict[int, Any] = {}
    for module in model.modules():
        for key, value in vars(module).items():
            if key in _HOOKS:
                kept = ((number, hook) for number, hook in value.items() if isinstance(hook, _WEIGHT_HOOKS))
                substitutes[id(value)] = OrderedDict(kept)
            elif isinstance(value, torch.Generator):
                substitutes[id(value)] = value.clone_state()  # its state is a tensor, which would lose its values
    return substitutes
