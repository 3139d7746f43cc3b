"""Resizing a collated batch on its own device, so that the small images are transferred and not the large ones."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision import tv_tensors

from ..._sizes import Size, parse_size
from ...functional._interpolation import Like, is_torch
from .._base import Interpolations, describe_arguments, draw_interpolation, parse_interpolation
from .._resize import Stretch
from .._uint8_upscale import resize_batch


def _is_batch_of_images(inpt: Any) -> bool:
    return isinstance(inpt, Tensor) and inpt.ndim >= 4


class _StretchBatch(Stretch):
    """``Stretch`` that takes only plain tensors (B, C, H, W) for images: labels are tensors too, and may come first."""

    _transformed_types = (tv_tensors.TVTensor, _is_batch_of_images)

    def _get_name(self) -> str:
        return "BatchResize"


class BatchResize(nn.Module):
    """Resizes a collated batch to ``size``, on its device and in its dtype.

    A tensor (B, C, H, W) is resized as by ``functional.resize``, and compiles; a list of interpolations or a nested
    batch causes a graph break. In a dict, list or tuple the first such tensor is resized, and with it every input that
    is wrapped in ``tv_tensors``: masks (B, H, W), one set of boxes or keypoints per image, video. Labels and other
    values are not changed. ``default_collate`` unwraps masks, so wrap them again.

    512 images take 1.6 MB at 32 px in uint8, and 308 MB at 224 px in float32. So resize after the transfer, not before
    it. On a CPU, uint8 is fastest in ``channels_last``.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list from which one is drawn for
            each batch; masks are resized by nearest.
        antialias: low-pass before shrinking; None is the library's default, which is True for "torch".
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown library, or an interpolation that it does not have.
        ArgumentError: a setting of antialias that the library does not have.
        ShapeError: on a tensor that is not (B, C, H, W), or a batch without images, or whose images, masks and boxes
            have several sizes.
        DtypeError: on a tensor that is neither floating point nor uint8.

    Example:
        >>> import torch
        >>> images, labels = BatchResize(64)((torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.arange(8)))
        >>> images.shape, images.dtype
        (torch.Size([8, 3, 64, 64]), torch.uint8)
    """

    def __init__(
        self,
        size: Size,
        *,
        interpolation: Interpolations = "bilinear",
        antialias: bool | None = None,
        like: Like = "torch",
    ) -> None:
        super().__init__()
        self.size = parse_size(size)
        self.interpolation = parse_interpolation(interpolation, antialias=antialias, like=like)
        self.antialias = True if antialias is None and is_torch(like) else antialias
        self.like = like

    def forward(self, batch: Any, size: Size | None = None) -> Any:
        """Resize ``batch`` to ``size``, for this call only, or to the module's own size.

        Args:
            batch: (B, C, H, W), or a dict, list or tuple with such a tensor.
            size: (height, width) in pixels, or one int for a square.

        Returns:
            The same nesting; a tensor alone as (B, C, height, width).
        """
        target = self.size if size is None else parse_size(size)
        if isinstance(batch, Tensor) and not isinstance(batch, tv_tensors.TVTensor):
            interpolation = draw_interpolation(self.interpolation)
            return resize_batch(batch, target, interpolation, antialias=self.antialias, like=self.like)
        stretch = _StretchBatch(target, interpolation=self.interpolation, antialias=self.antialias, like=self.like)
        return stretch(batch)

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)
