"""Shifts between results, stated only where they explain the difference of the results for a smooth image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from ._pipeline import Pipeline, Values

_AMPLITUDE, _PERIOD = 60.0, 64  # levels, and pixels of the result; no resize of a library attenuates such waves
_MARGIN = 3  # pixels that the border may affect
_BLOCK = 4  # pixels on each axis whose differences are averaged, against the rounding to uint8
_EXPLAINED = 1.0  # levels that may remain


@dataclass(frozen=True)
class _Wave:
    """A wave along one axis: its levels, and its slope in levels per pixel of the image."""

    level: Tensor
    slope: Tensor


def _wave(length: int, shown: int, period: float, shift: float = 0.0) -> _Wave:
    """The wave at ``shown`` pixel centers of an axis of ``length`` pixels, moved by ``shift`` of these pixels."""
    centers = (torch.arange(shown, dtype=torch.float64, device="cpu") + 0.5) * (length / shown)
    phase = 2 * math.pi * (centers - shift) / period + 0.5
    return _Wave(_AMPLITUDE * phase.sin(), 2 * math.pi / period * _AMPLITUDE * phase.cos())


def _period(length: int, shown: int) -> float:
    return _PERIOD * max(1.0, length / shown)


def smooth_results(pipelines: list[Pipeline], values: list[Values], source: tuple[int, int]) -> list[Tensor]:
    """The results of pipelines that show the whole image, for one smooth image: (h, w), in levels."""
    axes = zip(source, values[0].content[2:], strict=True)
    rows, columns = (_wave(old, old, _period(old, new)).level for old, new in axes)
    image = (127.5 + rows[:, None] + columns).round().to(torch.uint8).expand(3, -1, -1).contiguous()
    return [value.levels(pipeline(image)) for pipeline, value in zip(pipelines, values, strict=True)]


def find_shift(source: tuple[int, int], result: Tensor, other: Tensor | None = None) -> tuple[float, float] | None:
    """How far a result for the smooth image lies (below, to the right of) another one, or of where it belongs.

    Args:
        source: (height, width) of the image in pixels.
        result: (h, w), in levels.
        other: the same; the smooth image at the pixel centers if None.

    Returns:
        Pixels of the image; None if the two are not shifted, or if a shift does not explain their difference.
    """
    shown = (result.shape[0], result.shape[1])
    margin = [math.ceil(_MARGIN * max(1.0, new / old)) for old, new in zip(source, shown, strict=True)]
    if any(side - 2 * edge < 2 * _BLOCK for side, edge in zip(shown, margin, strict=True)):
        return None
    ideal = _moved(source, shown, (0.0, 0.0))[0]
    gap, down, right = result - (ideal if other is None else other), 0.0, 0.0
    before = _blocks(gap[None], margin).abs().mean()
    for _ in range(3):  # Gauss-Newton steps
        moved, *slopes = _moved(source, shown, (down, right))
        rest, *columns = _blocks(torch.stack([gap - (moved - ideal), *slopes]), margin)
        step = torch.linalg.lstsq(torch.stack(columns, 1), rest[:, None]).solution
        down, right = down + float(step[0]), right + float(step[1])
    after = _blocks((gap - (_moved(source, shown, (down, right))[0] - ideal))[None], margin).abs().mean()
    return None if after > _EXPLAINED or 3 * after > before else (down, right)


def _moved(source: tuple[int, int], shown: tuple[int, int], shift: tuple[float, float]) -> tuple[Tensor, ...]:
    """The smooth image moved by ``shift``, and its change with each of the two numbers, all (h, w)."""
    axes = zip(source, shown, shift, strict=True)
    rows, columns = (_wave(old, new, _period(old, new), moved) for old, new, moved in axes)
    image = 127.5 + rows.level[:, None] + columns.level
    return image, -rows.slope[:, None].expand(shown), -columns.slope.expand(shown)


def _blocks(maps: Tensor, margin: list[int]) -> Tensor:
    """(maps, blocks): means over the blocks inside the margin; libraries round differently, so their mean is 0."""
    height, width = maps.shape[-2:]
    inner = maps[:, margin[0] : height - margin[0], margin[1] : width - margin[1]]
    blocks = rearrange(F.avg_pool2d(inner, _BLOCK), "maps h w -> maps (h w)")
    return blocks - blocks.mean(1, keepdim=True)


def describe_shift(shift: tuple[float, float]) -> str:
    """Words for it, such as "shifted by 0.50 pixels of the source down and 0.25 to the left"."""
    down, right = shift
    vertical, horizontal = "down" if down >= 0 else "up", "right" if right >= 0 else "left"
    return f"shifted by {abs(down):.2f} pixels of the source {vertical} and {abs(right):.2f} to the {horizontal}"
