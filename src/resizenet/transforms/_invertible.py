"""``inverse``, for transforms and policies whose evaluation does not draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._sizes import Size, parse_size
from ._base import first_interpolation
from ._fill import Fill
from ._inverse import BoxFormat, Inverse
from ._record import view_of


class Invertible:
    """Adds ``inverse`` to a transform, or to a policy for the transform of its evaluation."""

    def inverse(
        self,
        sample: Any,
        source_size: Size,
        *,
        format: BoxFormat | None = None,  # noqa: A002  # torchvision's name for it
        clamp: bool = True,
        fill: Fill = 0,
        mask_fill: int = 0,
    ) -> Any:
        """Map boxes, keypoints, masks, maps, images and video of a transformed image back to the source image.

        The canvas is the transformed image; a policy uses its evaluation transform. For a random transform, put a
        ``GeometryRecord`` into the sample and call its ``inverse``.

        Boxes and keypoints are mapped exactly. Integer coordinates are rounded half up. In masks, each source pixel
        gets the label of the canvas pixel at its center. Maps, images and video are resized with the interpolation of
        the transform, or with its first one if there are several. The sample may be any nesting of dicts, lists and
        tuples. Plain tensors of three dimensions or more are maps (..., H, W) of the size of the canvas. Labels, scores
        and other values are not changed.

        Args:
            sample: predictions or other values of the canvas.
            source_size: (height, width) of the source image in pixels, or one int for a square.
            format: format of boxes that are plain tensors (N, 4): "XYXY", "XYWH" or "CXCYWH". They come back as plain
                tensors. With None, only ``tv_tensors.BoundingBoxes`` are boxes.
            clamp: clip boxes to the source image. Keypoints are never clipped.
            fill: value of source pixels that are not on the canvas, in maps, images and video.
            mask_fill: label of such pixels in masks.

        Returns:
            The same nesting, with values for an image of ``source_size``.

        Raises:
            ShapeError: the size of the sample is not that to which the transform changes ``source_size``.
            SizeError, ArgumentError, UnknownNameError: an argument outside its range.
        """
        transform = self._deterministic()
        view = view_of(transform, parse_size(source_size, argument="source_size"))
        inverse = Inverse(
            view,
            name=f"{type(self).__name__}.inverse",
            clamp=clamp,
            fill=fill,
            mask_fill=mask_fill,
            rule=self._resize_rule(),
        )
        return inverse(sample, format)

    def _resize_rule(self) -> dict[str, Any]:
        """How maps are resized: by the rule of the transform or policy, or bilinear if it does not resize."""
        if not hasattr(self, "interpolation"):
            return {"interpolation": "bilinear"}
        antialias, like = getattr(self, "antialias", None), getattr(self, "like", "torch")
        return {"interpolation": first_interpolation(self.interpolation), "antialias": antialias, "like": like}

    def _deterministic(self) -> Callable[[Any], Any]:
        """The transform to invert; a subclass whose transform draws raises."""
        assert callable(self)
        return self
