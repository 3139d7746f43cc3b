"""Take images and labels from whatever a user iterates over, and show progress."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Generator, Iterable
from typing import Any

from torch import Tensor

from .._errors import ArgumentError


def images_of(batch: Any) -> Tensor:
    """Return the batch itself, or the first item of a tuple or list."""
    images = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
    if not isinstance(images, Tensor):
        raise ArgumentError(f"batches: expected tensors or (images, labels), got {type(batch).__name__}")
    return images


def labels_of(batch: Any) -> Tensor:
    """Return the second item of a tuple or list."""
    labels = batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else None
    if not isinstance(labels, Tensor):
        raise ArgumentError(
            f'batches: expected (images, labels) for mode="bn+head", got {type(batch).__name__} without labels'
        )
    return labels


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
