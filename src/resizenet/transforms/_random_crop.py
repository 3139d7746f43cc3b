"""torchvision's random crops, drawn on the CPU; the resized one with this library's resize."""

from __future__ import annotations

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from .._sizes import Size, parse_size
from ..functional._interpolation import Like
from ._base import Interpolations, describe_arguments, draw_interpolation, parse_interpolation, sample_size
from ._fill import check_fills
from ._resize_input import crop_and_resize_input


class RandomCrop(v2.RandomCrop):
    """``torchvision.transforms.v2.RandomCrop`` with the same draws, whatever the default device is."""

    _v1_transform_cls = None  # torchscript would silently get torchvision's v1 transform instead

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The crop, as torchvision draws it."""
        sample_size(self._get_name(), flat_inputs)
        fills = self.fill if isinstance(self.fill, dict) else {"others": self.fill}
        check_fills(self._get_name(), fills["others"], fills.get(tv_tensors.Mask, 0), flat_inputs)
        with torch.device("cpu"):
            return super().make_params(flat_inputs)  # type: ignore[no-any-return]  # v2 is untyped


class RandomResizedCrop(v2.RandomResizedCrop):
    """``torchvision.transforms.v2.RandomResizedCrop`` with the same draws; ``interpolation`` may be a list of names."""

    _v1_transform_cls = None  # torchscript would silently get torchvision's v1 transform instead

    def __init__(
        self,
        size: Size,
        *,
        scale: tuple[float, float],
        ratio: tuple[float, float],
        interpolation: Interpolations,
        like: Like,
    ) -> None:
        with torch.device("cpu"):  # torchvision makes a tensor of the ratios
            super().__init__(parse_size(size), scale=scale, ratio=ratio)
        self.interpolation = parse_interpolation(interpolation, like=like)
        self.like = like

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The crop, as torchvision draws it, then the interpolation."""
        sample_size(self._get_name(), flat_inputs)
        with torch.device("cpu"):
            return {**super().make_params(flat_inputs), "interpolation": draw_interpolation(self.interpolation)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, cropped and resized."""
        box = [params[name] for name in ("top", "left", "height", "width")]
        return crop_and_resize_input(
            inpt, box, tuple(self.size), params["interpolation"], antialias=None, like=self.like
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)
