"""Kernels that are chosen by themselves compute a small case first, beside plain torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable

import torch
from torch import Tensor


def agrees(
    known: dict[Hashable, bool], key: Hashable, kernel: Callable[[], Tensor], plain: Callable[[], Tensor]
) -> bool:
    """Whether a kernel gives, on this machine, what plain torch gives.

    Tried when a key is first seen; from then on the answer is known. In ``torch.compile`` and while a CUDA graph is captured nothing can be
    tried, and a key that was not seen before does not agree.

    Args:
        known: the answers so far, to which one may be added.
        key: whatever the answer may depend on: the device, the dtypes, the number of channels.
        kernel: the small case, by the kernel.
        plain: the same, by plain torch.

    Warns:
        RuntimeWarning: once for a key, where the kernel fails or gives something else.
    """
    if key not in known:
        if torch.compiler.is_compiling() or (torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()):
            return False
        objection = _objection(kernel, plain)
        known[key] = objection is None
        if objection is not None:
            warnings.warn(
                f"resizenet: a Triton kernel is not used, {objection}; plain PyTorch takes its place ({key})",
                RuntimeWarning,
                stacklevel=2,
            )
    return known[key]


def _objection(kernel: Callable[[], Tensor], plain: Callable[[], Tensor]) -> str | None:
    expected = plain()
    try:
        got = kernel()
        assert got.shape == expected.shape, f"{tuple(got.shape)} where {tuple(expected.shape)} is expected"
        error = float((got.double() - expected.double()).abs().max())
    except Exception as accident:  # whatever a compiler or a driver raises
        return (
            f"it failed with {type(accident).__name__}: {str(accident).splitlines()[0] if str(accident) else 'no word'}"
        )
    rounding = (
        max(1e-2, 4 * torch.finfo(expected.dtype).eps) * float(expected.abs().max())
        if expected.is_floating_point()
        else 1.0
    )
    return None if error <= rounding else f"it differs by {error:.2g} where {rounding:.2g} is rounding"


def pattern(like: Tensor) -> Tensor:
    """A picture of the shape, dtype, device and memory format of another, always the same: values from 0 to 1, of whole numbers to 255."""
    waves = torch.arange(like.numel(), device=like.device, dtype=torch.float32).sin().view(like.shape).square()
    return torch.empty_like(like).copy_(waves if like.is_floating_point() else 255 * waves)
