"""What an adaptation changes in one module, and how a list of such changes is applied all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from torch import Tensor, nn

from .._errors import UnsupportedModelError
from ..functional._memory_format import memory_format_of
from ._filters import change_channels, change_kernel

What = Literal["kernel", "stride", "padding", "padding mode", "channels", "classes", "type", "grid", "window"]


@dataclass(frozen=True)
class Change:
    """One change of one module.

    Attributes:
        path: path of the module in the model.
        what: "kernel", "stride", "padding" and "padding mode" of a convolution or pooling; "channels" of the image;
            "classes" of a classifier; "type" of a module that is replaced; "grid" of position embeddings, in patches;
            "window" of attention, in positions.
        before, after: the old and the new value; that of one axis for "kernel", "stride" and "padding", and text such
            as "14x14" for "grid" and "window".
        how: how the new weights are made, such as "area"; None if no weights are made.
    """

    path: str
    what: What
    before: int | str
    after: int | str
    how: str | None = None

    def __str__(self) -> str:
        before, after = (f"{n}x{n}" if self.what == "kernel" else str(n) for n in (self.before, self.after))
        name = "" if self.what == "type" else f"{self.what} "
        return f"{name}{before} -> {after}" + (f" ({self.how})" if self.how else "")


def describe_changes(changes: Sequence[Change]) -> list[str]:
    """Return one line per module."""
    by_path = groupby(changes, key=lambda change: change.path)
    return [f"{path or 'the model'}: {', '.join(map(str, found))}" for path, found in by_path]


def apply_changes(model: nn.Module, changes: Iterable[Change]) -> None:
    """Make the changes in place. Everything that can fail is done before the first one.

    Raises:
        UnsupportedModelError: the model is not the one that the changes were planned for.
    """
    found = [(_find(model, change), change) for change in changes]
    weights: dict[nn.Module, Tensor] = {}
    for module, change in found:
        if change.what in _NEW_WEIGHTS:
            old = weights[module] if module in weights else module.weight.detach()
            weights[module] = _NEW_WEIGHTS[change.what](old, change, module)
    heads = {module: _new_head(module, int(change.after)) for module, change in found if change.what == "classes"}
    for module, weight in weights.items():
        _set_weight(module, weight)
    for module, change in found:
        if change.what == "type":
            parent, _, name = change.path.rpartition(".")
            setattr(model.get_submodule(parent), name, nn.Identity().train(module.training))
        elif change.what == "classes":
            _set_head(module, heads[module])
        else:
            _WRITE[change.what](module, change.after)


def _find(model: nn.Module, change: Change) -> Any:
    """Return the module, if the value that changes is still the one from before."""
    try:
        module = model.get_submodule(change.path)
        now = _READ[change.what](module)
    except (AttributeError, IndexError, TypeError):
        now = None
    if now != change.before:
        raise UnsupportedModelError(
            f"adapt: the plan was made for another model: expected {type(model).__name__}.{change.path} with "
            f"{change.what} {change.before}, got {now}"
        )
    return module


# --- values of modules


def side(value: Any) -> Any:
    """Return the first of a pair, and anything else as it is."""
    return value[0] if isinstance(value, (tuple, list)) else value


def _set_pair(name: str) -> Callable[[Any, Any], None]:
    def write(module: Any, value: int) -> None:
        setattr(module, name, value if isinstance(getattr(module, name), int) else (value, value))

    return write


def _set_padding(module: Any, value: int) -> None:
    module.padding = (value, value)
    module._reversed_padding_repeated_twice = [value] * 4  # read by padding modes other than "zeros"


def _set(name: str) -> Callable[[Any, Any], None]:
    return lambda module, value: setattr(module, name, value)


_READ: dict[What, Callable[[Any], object]] = {
    "kernel": lambda module: side(module.kernel_size),
    "stride": lambda module: side(module.stride),
    "padding": lambda module: side(module.padding),
    "padding mode": lambda module: module.padding_mode,
    "channels": lambda module: module.in_channels,
    "classes": lambda module: out_features(module),
    "type": lambda module: type(module).__name__,
}
_WRITE: dict[What, Callable[[Any, Any], None]] = {
    "kernel": _set_pair("kernel_size"),
    "stride": _set_pair("stride"),
    "padding": _set_padding,
    "padding mode": _set("padding_mode"),
    "channels": _set("in_channels"),
}


# --- weights


def out_features(module: nn.Module) -> int | None:
    """Return the number of outputs of a linear layer or a 1x1 convolution; None for any other module."""
    if isinstance(module, nn.Conv2d):
        return module.out_channels if module.kernel_size == (1, 1) else None
    return module.out_features if isinstance(module, nn.Linear) else None


_NEW_WEIGHTS: dict[What, Callable[[Tensor, Change, Any], Tensor]] = {
    "kernel": lambda old, change, conv: change_kernel(
        old, int(change.after), change.how, stride=side(conv.stride), padding=side(conv.padding)
    ),
    "channels": lambda old, change, conv: change_channels(old, int(change.after), str(change.how)),
}


def _set_weight(conv: Any, weight: Tensor) -> None:
    """Give the convolution another filter, which requires gradients if it or the old one does."""
    old = conv.weight
    conv.weight = nn.Parameter(
        weight.contiguous(memory_format=memory_format_of(old)), requires_grad=old.requires_grad or weight.requires_grad
    )


def _new_head(old: Any, num_classes: int) -> nn.Linear | nn.Conv2d:
    """Return a classifier with fresh weights, which require gradients."""
    options: dict[str, Any] = {
        "bias": old.bias is not None,
        "device": old.weight.device,
        "dtype": old.weight.dtype,
    }
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, num_classes, **options)
    return nn.Conv2d(old.in_channels, num_classes, 1, **options)


def _set_head(old: Any, new: nn.Linear | nn.Conv2d) -> None:
    old.weight, old.bias = new.weight, new.bias
    name = "out_features" if isinstance(new, nn.Linear) else "out_channels"
    setattr(old, name, getattr(new, name))
