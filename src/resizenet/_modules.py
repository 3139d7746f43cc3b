"""Copy a model, check that its weights can be read and replaced, and call it with images."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from ._errors import DtypeError, UnsupportedModelError

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


def find_images(
    function: Callable[..., Any], x: Tensor | None, keywords: Mapping[str, Any], *, operation: str
) -> tuple[str | None, Tensor]:
    """Return the images of a call and the keyword under which they were passed, None for the first argument.

    The keyword is ``pixel_values``, as in transformers, or the name of the function's own first argument.

    Args:
        function: the model or method that the images are for.
        x: the first argument of the call; None if there was none.
        keywords: the keyword arguments of the call.
        operation: the name for messages.

    Raises:
        DtypeError: no images were passed.
    """
    if x is not None:
        return None, x
    parameters = list(_parameters(function))
    for name in ("pixel_values", *parameters[:1]):
        if keywords.get(name) is not None:
            return name, keywords[name]
    raise DtypeError(
        f"{operation}: expected images as the first argument, as pixel_values or under the name of the model's own "
        f"first argument, got {sorted(keywords) or 'no arguments'}"
    )


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function, or of the ``forward`` of a module."""
    return inspect.signature(function.forward if isinstance(function, nn.Module) else function).parameters


def call_with_images(
    function: Callable[..., Any], name: str | None, images: Tensor, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Call a model or method with other images than ``find_images`` found, in the same place."""
    return function(images, *args, **keywords) if name is None else function(*args, **{**keywords, name: images})


def accepts_loss_kwargs(model: nn.Module) -> bool:
    """Whether the Trainer of transformers may pass ``num_items_in_batch`` to the model.

    A model may say so by an attribute of this name; otherwise the Trainer looks for ``**kwargs`` in its signature.
    """
    has_keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in _parameters(model).values())
    return bool(getattr(model, "accepts_loss_kwargs", has_keywords))


class _CopyWithoutHistory(TorchFunctionMode):
    """Lets ``deepcopy`` copy tensors with a history, which it refuses.

    Upstream: https://github.com/pytorch/pytorch/issues/37322, seen in torch 2.15. It can go when ``deepcopy`` of a
    pruned layer works after a call.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))
