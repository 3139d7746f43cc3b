"""The one place that decides whether a tensor is in channels_last."""

from __future__ import annotations

import torch
from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` is in channels_last and not also contiguous, as tensors of one channel or one pixel are."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def memory_format_of(x: Tensor) -> torch.memory_format:
    """``torch.channels_last`` or ``torch.contiguous_format``."""
    return torch.channels_last if is_channels_last(x) else torch.contiguous_format


def to_memory_format_of(out: Tensor, x: Tensor) -> Tensor:
    """Return ``out`` in channels_last if ``x`` is; otherwise return it unchanged."""
    return out.contiguous(memory_format=torch.channels_last) if is_channels_last(x) else out
