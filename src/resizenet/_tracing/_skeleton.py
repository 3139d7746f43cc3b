"""A copy of a model whose tensors have a shape and no values: it is cheap, and whatever runs on it leaves the model alone."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.overrides import TorchFunctionMode

from .._errors import UnsupportedModelError

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_MAKERS_OF_WEIGHTS = (
    BasePruningMethod,
    WeightNorm,
    SpectralNorm,
)  # pre-hooks without which a module has no weight of its own


class _WithoutValues(TorchFunctionMode):
    """What is copied under it is on meta, as are tensors with a history, which plain ``deepcopy`` refuses."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.__deepcopy__, Tensor.clone):  # a parameter clones its values
            return torch.empty_like(args[0], device="meta")
        return func(*args, **(kwargs or {}))


def skeleton(model: nn.Module) -> nn.Module:
    """The copy, in eval mode, without gradients, and without hooks except for those that make weights.

    Raises:
        UnsupportedModelError: the model cannot be copied, or its tensors have no shape yet.
    """
    name = type(model).__name__
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UnsupportedModelError(
            f"report: {name} is or has a scripted module, which cannot be looked into; report the module that it was made from"
        )
    if any(map(is_lazy, [*model.parameters(), *model.buffers()])):
        raise UnsupportedModelError(
            f"report: {name} has lazy modules, whose weights have no shape before the first call; call it once"
        )
    try:
        with _WithoutValues():
            copied = copy.deepcopy(model, _replaced(model))
    except Exception as error:
        raise UnsupportedModelError(
            f"report: traces a copy without values, and {name} cannot be copied: {error}"
        ) from error
    if not {*copied.modules()}.isdisjoint(model.modules()):
        raise UnsupportedModelError(
            f"report: traces a copy without values, and a copy of {name} shares modules with it"
        )
    return copied.eval().requires_grad_(False)


def _replaced(model: nn.Module) -> dict[int, Any]:
    """What takes the place of hooks and generators in a copy, by their id."""
    replaced: dict[int, Any] = {}
    for module in model.modules():
        for key, value in vars(module).items():
            if key in _HOOKS:
                replaced[id(value)] = OrderedDict(
                    (number, hook) for number, hook in value.items() if isinstance(hook, _MAKERS_OF_WEIGHTS)
                )
            elif isinstance(value, torch.Generator):
                replaced[id(value)] = value.clone_state()  # its state is a tensor, which would lose its values
    return replaced
