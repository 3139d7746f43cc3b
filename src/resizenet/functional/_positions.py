"""``resize_positions``: learned position embeddings for another grid of patches."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from .._checks import check_choice, check_non_negative
from .._errors import ShapeError
from .._sizes import Size, parse_size
from ._inputs import check_floating
from ._resize import resize_float

Convention = Literal["timm", "torchvision", "dinov2"]
_DINOV2_OFFSET = 0.1  # so that floor(old * factor) is never new - 1: github.com/facebookresearch/dino/issues/8


def resize_positions(
    embeddings: Tensor,
    old_grid: Size,
    new_grid: Size,
    *,
    convention: Convention = "timm",
    num_prefix_tokens: int = 0,
) -> Tensor:
    """Resize learned position embeddings from one grid of patches to another by bicubic interpolation.

    Both grids are arguments and may be non-square, so 14x14 can become 7x28, although both have 196 patches. Embeddings
    of class, distillation and register tokens are kept.

    Convention: libraries interpolate differently. For fine-tuned weights, use the convention of the library that they
    were fine-tuned with. All use bicubic interpolation, where a is the coefficient of the cubic kernel:

    - "timm" (``resample_abs_pos_embed``): antialiased, a = -0.5, pixel centers at half-integers;
    - "torchvision" (``interpolate_embeddings``): not antialiased, a = -0.75, ``align_corners=True``, so the corners of
      the two grids coincide;
    - "dinov2" (DINO and DINOv2 without registers): not antialiased, a = -0.75, pixel centers at half-integers, and a
      scale factor of (new + 0.1) / old instead of new / old. The points at which the old grid is read are therefore
      closer to its top left corner by the factor new / (new + 0.1). DINOv2 of transformers has no such offset.

    A table of relative position biases, as in Swin and MaxViT, has one row per offset. For windows of h x w, pass
    (2h - 1, 2w - 1) as its grid. The convention "timm" then computes timm's ``resize_rel_pos_bias_table_levit``.

    Differentiable in ``embeddings``; half precision is computed in float32. Equal grids give a copy.

    Args:
        embeddings: (1, P + h * w, C) or (P + h * w, C), floating point: P prefix tokens, then the grid row by row.
        old_grid: (h, w), the grid of ``embeddings``, or one int for a square.
        new_grid: (h', w'), the grid to resize to, or one int for a square.
        convention: "timm", "torchvision" or "dinov2".
        num_prefix_tokens: P, how many tokens in front of the grid are kept.

    Returns:
        (1, P + h' * w', C) or (P + h' * w', C) with the dtype and device of ``embeddings``.

    Raises:
        ShapeError: ``embeddings`` has another shape, for example because ``old_grid`` is not its grid.
        DtypeError: ``embeddings`` is not a dense floating point tensor.
        SizeError: a grid is not a positive int or two of them.
        ArgumentError: ``num_prefix_tokens`` is not a non-negative int.
        UnknownNameError: an unknown convention.

    Example:
        A ViT-B/16 goes from 224x224 px to 96x320 px:

        >>> import torch
        >>> resize_positions(torch.randn(1, 197, 768), (14, 14), (6, 20), num_prefix_tokens=1).shape
        torch.Size([1, 121, 768])
    """
    check_choice("convention", convention, get_args(Convention))
    check_non_negative("num_prefix_tokens", num_prefix_tokens)
    before, after = parse_size(old_grid, argument="old_grid"), parse_size(new_grid, argument="new_grid")
    check_floating("resize_positions", embeddings, "(1, P + h * w, C) or (P + h * w, C)")
    _check_shape(embeddings, before, num_prefix_tokens)
    if before == after:
        return embeddings.clone()
    prefix, patches = embeddings[..., :num_prefix_tokens, :], embeddings[..., num_prefix_tokens:, :]
    grid = rearrange(patches, "... (h w) c -> (...) c h w", h=before[0])
    resized = _interpolate(grid.to(torch.promote_types(grid.dtype, torch.float32)), after, convention)
    rows = rearrange(resized, "1 c h w -> (h w) c")
    result = embeddings.new_empty(*prefix.shape[:-2], num_prefix_tokens + len(rows), grid.shape[1])
    # torch.cat refuses float16 under an autocast to bfloat16 on a CPU: github.com/pytorch/pytorch/issues/100932
    result[..., :num_prefix_tokens, :], result[..., num_prefix_tokens:, :] = prefix, rows.to(embeddings.dtype)
    return result


def _check_shape(embeddings: Tensor, grid: tuple[int, int], num_prefix_tokens: int) -> None:
    shape, count = tuple(embeddings.shape), num_prefix_tokens + grid[0] * grid[1]
    if len(shape) not in (2, 3) or shape[:-2] not in ((), (1,)) or shape[-2] != count or shape[-1] == 0:
        raise ShapeError(
            f"resize_positions: expected (1, {count}, C) or ({count}, C) for a grid of {grid[0]}x{grid[1]} and "
            f"{num_prefix_tokens} prefix tokens, got {shape}"
        )


def _interpolate(grid: Tensor, size: tuple[int, int], convention: Convention) -> Tensor:
    if convention == "timm":
        return resize_float(grid, size, "bicubic", antialias=True)
    if convention == "torchvision":
        return F.interpolate(grid, size, mode="bicubic", align_corners=True)
    factors = [(after + _DINOV2_OFFSET) / before for before, after in zip(grid.shape[2:], size, strict=True)]
    return F.interpolate(grid, scale_factor=factors, mode="bicubic", align_corners=False)
