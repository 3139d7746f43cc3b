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
        """Map boxes, keypoints, masks, maps, images and video on the canvas back to the source image.

        The canvas is that of evaluation. For what a random transform made, put a ``GeometryRecord`` into the sample.

        Boxes and keypoints are mapped exactly; in integers they are rounded half up. Masks take the label of the canvas
        pixel under the center of each source pixel. Maps, images and video are resized with the transform's own
        interpolation, its first if there are several. The sample may be any nesting of dicts, lists and tuples. All
        plain tensors of three dimensions or more are maps (..., H, W) on the canvas. Labels, scores and other values
        are not changed.

        Args:
            sample: what is on the canvas.
            source_size: (height, width) of the source image in pixels, or one int for a square.
            format: format of boxes that are plain tensors (N, 4): "XYXY", "XYWH" or "CXCYWH". They come back as plain
                tensors. None if boxes are ``tv_tensors.BoundingBoxes``.
            clamp: clip boxes to the source image. Keypoints are never clipped.
            fill: value of source pixels that are not on the canvas, in maps, images and video.
            mask_fill: label of such pixels in masks.

        Returns:
            The same nesting, on a canvas of ``source_size``.

        Raises:
            ShapeError: the sample is not on the canvas that an image of ``source_size`` gets.
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
