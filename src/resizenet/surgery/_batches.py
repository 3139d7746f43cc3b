"""Take images and labels from whatever a user iterates over, and show progress."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from torch import Tensor

from .._errors import ArgumentError

_IMAGES, _LABELS = ("pixel_values", "images", "image", "x"), ("labels", "label")  # keys of a batch that is a dict


def images_of(batch: Any) -> Tensor:
    """Return the batch itself, the first item of a tuple or list, or the value of a dict under one of ``_IMAGES``."""
    images = _item(batch, 0, _IMAGES) if isinstance(batch, (tuple, list, Mapping)) else batch
    if not isinstance(images, Tensor):
        raise ArgumentError(
            "batches: expected tensors, (images, labels) or dicts with images under one of "
            f"{', '.join(map(repr, _IMAGES))}, got {_describe(batch)}"
        )
    return images


def labels_of(batch: Any) -> Tensor:
    """Return the second item of a tuple or list, or the value of a dict under one of ``_LABELS``."""
    labels = _item(batch, 1, _LABELS)
    if not isinstance(labels, Tensor):
        raise ArgumentError(
            'batches: expected (images, labels) or dicts with "labels" for mode="bn+head", got '
            f"{_describe(batch)} without labels"
        )
    return labels


def _item(batch: Any, index: int, keys: tuple[str, ...]) -> Any:
    """Return an item by its place, or a value of a dict by its key; None if it is missing."""
    if isinstance(batch, Mapping):
        return next((batch[key] for key in keys if key in batch), None)
    return batch[index] if isinstance(batch, (tuple, list)) and len(batch) > index else None


def _describe(batch: Any) -> str:
    keys = f" with the keys {sorted(map(str, batch))}" if isinstance(batch, Mapping) else ""
    return f"{type(batch).__name__}{keys}"


def take(batches: Iterable[Any], num_batches: int, description: str) -> Generator[Any, None, None]:
    """Yield between one and ``num_batches`` batches, with a progress bar on a terminal if rich is installed."""
    num_batches = min(num_batches, sys.maxsize)
    total = min(num_batches, operator.length_hint(batches, num_batches))
    empty = True
    for batch in _track(itertools.islice(batches, num_batches), total, description):
        yield batch
        empty = False
    if empty:
        raise ArgumentError(
            'batches: expected at least one batch, got none; mode="bn+head" iterates twice, so give it a list or a '
            "DataLoader"
        )


def _track(batches: Iterable[Any], total: int, description: str) -> Iterable[Any]:
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError:
        return batches
    console = Console(stderr=True)
    hidden = not (console.is_terminal or console.is_jupyter)
    return track(batches, description, total=total, console=console, transient=True, disable=hidden)
