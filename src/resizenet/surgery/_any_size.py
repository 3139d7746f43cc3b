"""A model that wants images of certain sizes, made to take any size by padding and cropping."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from .._checks import check_choice, check_positive, parse_number
from .._errors import ArgumentError, DtypeError, ShapeError, UnsupportedModelError
from .._modules import accepts_loss_kwargs, call_with_images, check_model, find_images
from .._sizes import POSITIONS, Placement, place, round_up_to_multiple
from .._tracing import side_multiple

Mode = Literal["replicate", "reflect", "constant"]
Position = Literal["center", "top_left", "top_right", "bottom_left", "bottom_right"]


class AnySize(nn.Module):
    """Pads images until both sides are multiples of a number, calls the model, and crops every map in its output.

    Many dense models raise an error, or ignore the last rows and columns, if a side is not a multiple of a number such
    as 14 or 32. An image whose sides are multiples already is not changed. In the state dict, the keys of the model
    begin with ``model.``.

    A map is a tensor of four dimensions or more, (..., h, w), whose height and width are those of the padded image
    divided by a stride s, or multiplied by a factor r. It is cropped to (ceil(H / s), ceil(W / s)), or (r * H, r * W),
    where (H, W) is the size of the image. A tensor of three dimensions is a map if s is 1. The output may be any
    nesting of tuples, lists, dicts and dataclasses. Everything that is not a map is returned unchanged. Other
    arguments of ``forward``, such as labels, are not padded.

    Args:
        model: called with the padded images and with all other arguments of ``forward``.
        multiple: both sides are padded to multiples of it, in pixels. "auto" runs a copy of the model without values on
            images of different sizes. It finds the smallest number for which the model raises no error and no patch
            embedding or pooling ignores rows or columns. It tries powers of two and three or seven times these, up to
            128.
        mode: "replicate" repeats the border, "reflect" mirrors the image at its border pixel, "constant" fills.
        fill: value of the new pixels for ``mode="constant"``.
        position: position of the image in the padded image: "top_left" (pads on the right and at the bottom, so that
            coordinates do not change), "center", "top_right", "bottom_left" or "bottom_right". If there is padding
            above or on the left, the crop of a map of stride s begins at floor(padding / s).
        mask_argument: name of the argument of the model that takes a padding mask, such as "pixel_mask". The mask is a
            bool tensor (B, padded height, padded width), true on the image. If the caller passes a mask (B, H, W)
            under this name, it is padded with zeros instead.
        in_channels: channels of the images on which "auto" tries the model.

    Raises:
        ArgumentError: an argument outside its range.
        UnknownNameError: an unknown mode or position.
        UnsupportedModelError: with ``multiple="auto"``, the model cannot run without values, or no number is found.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> class Unet(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.down, self.up = nn.Conv2d(3, 8, 2, stride=2), nn.ConvTranspose2d(8, 3, 2, stride=2)
        ...     def forward(self, x):
        ...         return x + self.up(self.down(x))
        >>> model = AnySize(Unet(), multiple="auto")
        >>> model.multiple, model(torch.rand(1, 3, 33, 47)).shape
        (2, torch.Size([1, 3, 33, 47]))
    """

    model: nn.Module

    def __init__(
        self,
        model: nn.Module,
        *,
        multiple: int | Literal["auto"] = "auto",
        mode: Mode = "replicate",
        fill: float = 0.0,
        position: Position = "top_left",
        mask_argument: str | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_model(model, operation="AnySize", may_be_sharded=True)
        check_choice("mode", mode, get_args(Mode))
        check_choice("position", position, POSITIONS)
        check_positive("in_channels", in_channels)
        if mask_argument is not None and not isinstance(mask_argument, str):
            raise ArgumentError(f"mask_argument: expected the name of an argument, got {mask_argument!r}")
        self.multiple = _parse_multiple(model, multiple, in_channels)
        self.mode = mode
        self.fill = parse_number("fill", fill)
        self.position = position
        self.mask_argument = mask_argument
        self.model = model

    @property
    def accepts_loss_kwargs(self) -> bool:
        """Whether the Trainer of transformers may pass ``num_items_in_batch``, which it asks of a model."""
        return accepts_loss_kwargs(self.model)

    def forward(self, x: Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
        """``model(pad(x), *args, **kwargs)``, cropped.

        Args:
            x: (B, C, H, W), any H and W. It can also be passed as ``pixel_values``, or under the name of the model's
                own first argument.
            *args: passed on to the model.
            **kwargs: passed on to the model.

        Raises:
            DtypeError: not a tensor, or neither floating point nor uint8.
            ShapeError: not four dimensions or no pixel, a mask of another size, or, outside of ``torch.compile``, a
                "reflect" padding that is not smaller than the image.
        """
        name, image = find_images(self.model, x, kwargs, operation="AnySize")
        _check_image(image)
        size = image.shape[2], image.shape[3]
        canvas = round_up_to_multiple(size[0], self.multiple), round_up_to_multiple(size[1], self.multiple)
        placement = place(size, canvas, self.position)
        if self.mask_argument is not None:
            kwargs = {**kwargs, self.mask_argument: _pad_mask(kwargs.get(self.mask_argument), image, placement)}
        if not torch.compiler.is_compiling() and canvas == size:  # an exported graph would be guarded by this
            return call_with_images(self.model, name, image, args, kwargs)
        out = call_with_images(self.model, name, self._pad(image, placement), args, kwargs)
        return _map_tensors(partial(_crop, placement=placement), out)

    def _pad(self, x: Tensor, placement: Placement) -> Tensor:
        left, top, right, bottom = placement.padding
        if self.mode == "reflect" and not torch.compiler.is_compiling():
            _check_reflected(placement)
        as_float = x.float() if x.dtype == torch.uint8 else x  # torch repeats and mirrors floating point images only
        value = self.fill if self.mode == "constant" else None
        return F.pad(as_float, (left, right, top, bottom), self.mode, value).to(x.dtype)

    def extra_repr(self) -> str:
        """The arguments."""
        fill = f", fill={self.fill}" if self.mode == "constant" else ""
        mask = f", mask_argument={self.mask_argument!r}" if self.mask_argument is not None else ""
        return f"multiple={self.multiple}, mode={self.mode!r}{fill}, position={self.position!r}{mask}"


def _parse_multiple(model: nn.Module, multiple: int | Literal["auto"], in_channels: int) -> int:
    if not isinstance(multiple, str):
        check_positive("multiple", multiple)
        return multiple
    check_choice("multiple", multiple, ("auto",))
    found = side_multiple(model, in_channels, keep_lines=True)
    if found is None:
        raise UnsupportedModelError(
            f'AnySize: multiple="auto" found no number up to 128 such that {type(model).__name__} takes images of '
            f"{in_channels} channels whose sides are multiples of it; pass the number, or call report(model, size) for "
            "the model's error"
        )
    return found


def _check_image(x: object) -> None:
    if not isinstance(x, Tensor) or not (x.is_floating_point() or x.dtype == torch.uint8):
        found = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise DtypeError(f"AnySize: expected a floating point or uint8 tensor (B, C, H, W), got {found}")
    if x.ndim != 4 or x.shape[2] == 0 or x.shape[3] == 0:
        raise ShapeError(f"AnySize: expected (B, C, H, W) with at least one pixel, got {tuple(x.shape)}")


def _check_reflected(placement: Placement) -> None:
    left, top, right, bottom = placement.padding
    height, width = placement.content
    if max(top, bottom) >= height or max(left, right) >= width:
        raise ShapeError(
            f"AnySize: expected an image with more pixels than mode='reflect' pads, got {height} x {width} on a canvas "
            f"of {placement.canvas}; use mode='replicate'"
        )


def _pad_mask(mask: object, image: Tensor, placement: Placement) -> Tensor:
    """The caller's mask, or ones on the image, with zeros on the padding."""
    shape = (image.shape[0], *placement.content)
    if mask is None:
        mask = torch.ones(shape, dtype=torch.bool, device=image.device)
    if not isinstance(mask, Tensor) or tuple(mask.shape) != shape:
        found = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ShapeError(f"AnySize: expected a mask of the images' size, {shape}, got {found}")
    left, top, right, bottom = placement.padding
    return F.pad(mask, (left, right, top, bottom))


def _crop(value: Tensor, placement: Placement) -> Tensor:
    """Crop a map of the padded image to the image; return other tensors unchanged.

    A stride that is a multiple of ``multiple`` needs no crop: there ceil(H / s) is the same before and after padding.
    """
    if value.ndim < 3 or 0 in value.shape[-2:]:
        return value
    (rows, columns), (height, width) = value.shape[-2:], placement.canvas
    stride, factor = height // rows, rows // height
    if stride and height == rows * stride and width == columns * stride and (stride == 1 or value.ndim > 3):
        kept = [-(-side // stride) for side in placement.content]
        top, left = placement.top // stride, placement.left // stride
    elif factor and rows == factor * height and columns == factor * width and value.ndim > 3:
        kept = [factor * side for side in placement.content]
        top, left = factor * placement.top, factor * placement.left
    else:
        return value
    # negative margins crop; a slice would guard an exported graph against sizes that need no crop
    return F.pad(value, (-left, left + kept[1] - columns, -top, top + kept[0] - rows))


def _map_tensors(function: Callable[[Tensor], Tensor], values: Any) -> Any:
    """Apply a function to all tensors of a nesting; dataclasses need not be registered with torch."""

    def visit(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return function(leaf)
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            fields = [field.name for field in dataclasses.fields(leaf) if field.init]
            return dataclasses.replace(leaf, **{name: tree_map(visit, getattr(leaf, name)) for name in fields})
        return leaf

    return tree_map(visit, values)
