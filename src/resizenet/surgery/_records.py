"""Numbers that models keep about themselves, and that an adaptation has to keep true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from torch import nn

from ._changes import Change

_NAMES = {
    "channels": ("in_channels", "in_chans", "num_channels"),  # ours and torchvision's, timm's, transformers'
    "classes": ("num_classes", "num_labels"),
}


def update_records(model: nn.Module, changes: Iterable[Change], strides: Mapping[int, int]) -> None:
    """Update the numbers of channels and classes around the changed modules, and timm's ``feature_info``."""
    for change in changes:
        for owner in _owners(model, change.path):
            for name in _NAMES.get(change.what, ()):
                if getattr(owner, name, None) == change.before:
                    with suppress(AttributeError):  # a read-only property
                        setattr(owner, name, change.after)
    info: Any = getattr(model, "feature_info", None)
    if isinstance(info, list) and all(isinstance(entry, dict) and "reduction" in entry for entry in info):
        entries = [{**entry, "reduction": strides.get(entry["reduction"], entry["reduction"])} for entry in info]
        model.feature_info = entries  # type: ignore[assignment]


def _owners(model: nn.Module, path: str) -> Iterator[Any]:
    """Yield the modules around the one at ``path``, the model first, and the configurations that they hold."""
    parts = path.split(".")
    for depth in range(len(parts)):
        module = model.get_submodule(".".join(parts[:depth]))
        yield module
        if hasattr(module, "config"):
            yield module.config
