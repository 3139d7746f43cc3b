"""torchvision's random resized crop with our resize behind it: masks that lie under their images, and interpolations to draw from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from .._sizes import Size, parse_size
from ._resizing import describe_arguments, draw_interpolation, parse_interpolation, resize_input, sample_size


class RandomResizedCrop(v2.RandomResizedCrop):
    """``torchvision.transforms.v2.RandomResizedCrop``, with its draws, and with ``interpolation`` a name or a list of names to draw from."""

    _v1_transform_cls = None  # torchscript would silently get torchvision's v1 transform instead

    def __init__(
        self, size: Size, *, scale: tuple[float, float], ratio: tuple[float, float], interpolation: str | Sequence[str]
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
