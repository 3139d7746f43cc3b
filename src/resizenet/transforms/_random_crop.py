"""torchvision's random resized crop with this library's resize, so that masks stay aligned with their images."""

from __future__ import annotations

from typing import Any

from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from .._sizes import Size, parse_size
from ._base import Interpolations, describe_arguments, draw_interpolation, parse_interpolation, sample_size
from ._resize_input import resize_input


class RandomResizedCrop(v2.RandomResizedCrop):
    """``torchvision.transforms.v2.RandomResizedCrop`` with the same draws; ``interpolation`` may be a list of names."""

    _v1_transform_cls = None  # torchscript would silently get torchvision's v1 transform instead

    def __init__(
        self, size: Size, *, scale: tuple[float, float], ratio: tuple[float, float], interpolation: Interpolations
    ) -> None:
        super().__init__(parse_size(size), scale=scale, ratio=ratio)
        self.interpolation = parse_interpolation(interpolation)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The crop, as torchvision draws it, then the interpolation."""
        sample_size(self._get_name(), flat_inputs)
        return {**super().make_params(flat_inputs), "interpolation": draw_interpolation(self.interpolation)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, cropped and resized."""
        crop = F.crop(inpt, params["top"], params["left"], params["height"], params["width"])
        return resize_input(crop, tuple(self.size), params["interpolation"])

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)
