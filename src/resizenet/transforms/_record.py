"""A record of what the transforms of one call did to the geometry of a sample, so that it can be mapped back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from .._checks import check_choice
from .._errors import ArgumentError, ShapeError
from .._sizes import Size, View, parse_size
from ..functional import INTERPOLATIONS
from ..functional._interpolation import Interpolation
from ._fill import Fill
from ._inverse import BoxFormat, Inverse
from ._resize_input import GeometryOnly

if TYPE_CHECKING:
    from typing_extensions import Self


class GeometryRecord(GeometryOnly):
    """Records resizes, crops, paddings and flips of a sample, and maps predictions back to the source image.

    Put a record with the size of the source image into the sample. The transforms of this library and of
    ``torchvision.transforms.v2`` then change it as they change the image, with the same random numbers. Rotations and
    other warps cannot be recorded and raise ArgumentError.

    A record is a tensor of eight numbers, so it can pass through a DataLoader. ``default_collate`` makes a plain tensor
    (B, 8) of the records of a batch, and ``GeometryRecord.unbatch`` makes records of that tensor. To ``BatchResize``
    and ``BatchRandomResizedCrop``, pass a list with one record for each image.

    Args:
        source_size: (height, width) of the source image in pixels, or one int for a square.

    Raises:
        SizeError: a size that is not positive or not whole.

    Example:
        >>> import torch
        >>> from torchvision import tv_tensors
        >>> from resizenet.transforms import RandomResizedCropPolicy
        >>> image = tv_tensors.Image(torch.rand(3, 300, 400))
        >>> image, record = RandomResizedCropPolicy(224).train()((image, GeometryRecord((300, 400))))
        >>> record.inverse(torch.tensor([[0.0, 0, 224, 224]]), format="XYXY").shape  # the crop, in source pixels
        torch.Size([1, 4])
    """

    def __new__(cls, source_size: Size) -> Self:
        """Make the record of an image before the first transform."""
        size = parse_size(source_size, argument="source_size")
        return cls._of(View(size, size))

    @classmethod
    def _of(cls, view: View) -> Self:
        numbers = (*view.source, *view.canvas, *view.scale, *view.offset)
        record: Self = torch.tensor(numbers, dtype=torch.float64, device="cpu").as_subclass(cls)
        return record

    @classmethod
    def unbatch(cls, batch: Tensor) -> list[Self]:
        """Return the records of a batch that ``default_collate`` made.

        Raises:
            ShapeError: not (B, 8).
        """
        if not isinstance(batch, Tensor) or batch.ndim != 2 or batch.shape[1] != 8:
            found = tuple(batch.shape) if isinstance(batch, Tensor) else type(batch).__name__
            raise ShapeError(f"unbatch: expected the records of a batch, (B, 8), got {found}")
        return [row.as_subclass(cls) for row in batch.detach().to("cpu", torch.float64).as_subclass(Tensor)]

    @property
    def _geometry(self) -> View:
        """The record as plain numbers."""
        numbers = self.as_subclass(Tensor).tolist()
        source, canvas = ((int(numbers[i]), int(numbers[i + 1])) for i in (0, 2))
        return View(source, canvas, (numbers[4], numbers[5]), (numbers[6], numbers[7]))

    @property
    def source_size(self) -> tuple[int, int]:
        """(height, width) of the source image in pixels."""
        return self._geometry.source

    @property
    def canvas_size(self) -> tuple[int, int]:
        """(height, width) of the transformed image in pixels."""
        return self._geometry.canvas

    def inverse(
        self,
        sample: Any,
        *,
        format: BoxFormat | None = None,  # noqa: A002  # torchvision's name for it
        clamp: bool = True,
        fill: Fill = 0,
        mask_fill: int = 0,
        interpolation: Interpolation = "bilinear",
    ) -> Any:
        """Map boxes, keypoints, masks, maps, images and video of the transformed image back to the source image.

        The arguments are those of ``ResizePolicy.inverse``. ``interpolation`` is used for maps, images and video.

        Raises:
            ShapeError: the size of the sample is not the ``canvas_size`` of this record.
            ArgumentError, UnknownNameError: an argument outside its range.
        """
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        inverse = Inverse(
            self._geometry,
            name="GeometryRecord.inverse",
            clamp=clamp,
            fill=fill,
            mask_fill=mask_fill,
            rule={"interpolation": interpolation},
        )
        return inverse(sample, format)


def view_of(transform: Callable[[Any], Any], source: tuple[int, int]) -> View:
    """What a deterministic transform does to an image of this size."""
    no_boxes = tv_tensors.BoundingBoxes(torch.empty(0, 4, device="cpu"), format="XYXY", canvas_size=source)
    _, record = transform((no_boxes, GeometryRecord(source)))
    view: View = record._geometry
    return view


def _follow(functional: Callable[..., Any], change: Callable[..., View]) -> None:
    """Register what a functional of torchvision does to a record."""

    def kernel(record: GeometryRecord, *args: Any, **kwargs: Any) -> GeometryRecord:
        return GeometryRecord._of(change(record._geometry, *args, **kwargs))

    F.register_kernel(functional, GeometryRecord)(kernel)


def _resized(view: View, size: Sequence[int], max_size: int | None = None, **_: Any) -> View:
    """Torchvision computes the size, which may be that of one side only."""
    no_boxes = tv_tensors.BoundingBoxes(torch.empty(0, 4, device="cpu"), format="XYXY", canvas_size=view.canvas)
    return view.resize(F.resize(no_boxes, size, max_size=max_size).canvas_size)


def _padded(view: View, padding: int | Sequence[int], **_: Any) -> View:
    sides = (padding,) * 4 if isinstance(padding, int) else tuple(padding) * (4 // len(padding))
    left, top, right, bottom = sides
    return view.crop(-top, -left, view.canvas[0] + top + bottom, view.canvas[1] + left + right)


def _center_cropped(view: View, output_size: int | Sequence[int]) -> View:
    sizes = (output_size,) if isinstance(output_size, int) else output_size
    return view.center_crop(sizes[0], sizes[-1])


def _crop_resized(view: View, top: int, left: int, height: int, width: int, size: Sequence[int], **_: Any) -> View:
    return _resized(view.crop(top, left, height, width), size)


def _refuse(view: View, *_: Any, **__: Any) -> View:
    raise ArgumentError(
        "GeometryRecord: expected transforms that resize, crop, pad and flip; this one rotates or warps the image, so "
        "the result cannot be mapped back"
    )


_follow(F.resize, _resized)
_follow(F.crop, View.crop)
_follow(F.center_crop, _center_cropped)
_follow(F.pad, _padded)
_follow(F.resized_crop, _crop_resized)
_follow(F.vertical_flip, lambda view: view.flip(0))
_follow(F.horizontal_flip, lambda view: view.flip(1))
for _warp in (F.affine, F.rotate, F.perspective, F.elastic, F.five_crop, F.ten_crop):
    _follow(_warp, _refuse)
