"""Runs a model on an image without values and records what every module does to the feature map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from .._errors import ShapeError
from ._dispatch import LayoutTracer
from ._failure import explain_failure
from ._layout import Reach
from ._skeleton import skeleton
from ._table import LayoutTable, Window
from ._taps import tap_summary


@dataclass(frozen=True)
class Row:
    """What one module does. A map is a tensor that has the image's two axes, in whatever dimensions they are.

    Attributes:
        name: the module's path in the model, such as "layer1.0.conv1".
        kind: the name of its class.
        input_map: (height, width) of the first input, None unless that is a map.
        output_map: (height, width) of the output, None unless that is a map.
        channels: channels of the output map.
        stride: (vertical, horizontal) input pixels from one position of the output to the next; None where unknown.
        receptive_field: (height, width) in input pixels. It is theoretical: pixels beyond the border count. None unless
            ``reach`` is "window" or "gated".
        field_start: (row, column) of the first pixel that the first position sees, negative beyond the border; None
            where ``receptive_field`` is.
        reach: what a position of the output map sees: "window", "gated" (a window, scaled or normalized by a layer that
            sees more, such as squeeze-and-excitation), "image" (everything) or "unknown" (not the same for all
            positions, as in window attention).
        kernel: (height, width) of the convolution's kernel. If the module has several, that of the kernel that uses the
            smallest share of its taps. None without a convolution.
        used_taps: number of taps of that kernel that meet the map at one position or more; the others meet only
            padding.
        idle_taps: share, 0..1, of the weights of all kernels in the module that meet only padding.
        macs: multiply-accumulates of convolutions and matrix products for one image, over all calls.
        params: parameters of the module and of those inside it.
    """

    name: str
    kind: str
    input_map: tuple[int, int] | None
    output_map: tuple[int, int] | None
    channels: int | None
    stride: tuple[int, int] | None
    receptive_field: tuple[int, int] | None
    field_start: tuple[int, int] | None
    reach: str | None
    kernel: tuple[int, int] | None
    used_taps: int | None
    idle_taps: float | None
    macs: int
    params: int

    @property
    def parent(self) -> str:
        """The path of the enclosing module, "" at the top."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Trace:
    """The result of ``trace``.

    Attributes:
        rows: one per module that was called, in the order in which they finish.
        macs: multiply-accumulates of the whole model.
        windows: every call of a convolution or pooling, in order.
        single_value_norms: batch norms that see one value per channel in a batch of one image.
        output_shape: shape of the first tensor that the model returns for one image; None without a tensor.
        skeleton: the copy of the model that ran; it has no values.
    """

    rows: tuple[Row, ...]
    macs: int
    windows: tuple[Window, ...]
    single_value_norms: tuple[str, ...]
    output_shape: tuple[int, ...] | None
    skeleton: nn.Module = field(repr=False, compare=False)


class _ModuleRecorder:
    """Hooks that keep the table's active modules up to date and make a row for every module that finishes."""

    def __init__(self, model: nn.Module, table: LayoutTable) -> None:
        self._names = {module: name for name, module in model.named_modules() if name}
        self._table = table
        self.rows: dict[str, Row] = {}
        self._single_value: dict[str, bool] = {}
        self._hooks = [module.register_forward_pre_hook(self._enter) for module in self._names]
        self._hooks += [module.register_forward_hook(self._leave) for module in self._names]

    @property
    def single_value_norms(self) -> tuple[str, ...]:
        return tuple(name for name in self.rows if self._single_value[name])

    def remove_hooks(self) -> None:
        """Detach the recorder from the model."""
        for hook in self._hooks:
            hook.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._table.active.append(self._names[module])

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        name = self._table.active.pop()
        before, after = _first_tensor(args), _first_tensor(output)
        self.rows.pop(name, None)  # the last of several calls counts
        self.rows[name] = _row(name, module, before, after, self._table)
        self._single_value[name] = isinstance(module, _BatchNorm) and _has_single_values(before)


def _first_tensor(values: object) -> Tensor | None:
    return next((leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)), None)


def _has_single_values(x: Tensor | None) -> bool:
    """Whether every channel of the batch has one value."""
    return x is not None and x.ndim > 1 and x.numel() == x.shape[1]


def trace(model: nn.Module, in_channels: int, size: tuple[int, int], *, operation: str = "report") -> Trace:
    """Run a copy of the model on one image without values and return what every module does to it.

    Args:
        model: a module that takes (B, in_channels, H, W).
        in_channels: channels of the image.
        size: (height, width) of the image in pixels.
        operation: the public function that error messages name.

    Raises:
        ShapeError: the model cannot take an image of this size.
        UnsupportedModelError: the model cannot be copied, or cannot run on one image without values.
    """
    copied = skeleton(model, operation=operation)
    dtype = next((p.dtype for p in model.parameters()), torch.get_default_dtype())
    image = _empty_image((in_channels, *size), dtype, operation)
    tracer = LayoutTracer(image, model.parameters())
    recorder = _ModuleRecorder(copied, tracer.table)
    try:
        with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"), tracer:
            out = _first_tensor(copied(image))
    except Exception as error:
        module, shape = tracer.table.active[-1], (in_channels, *size)
        raise explain_failure(error, copied, module, shape, operation=operation) from error
    recorder.remove_hooks()
    return Trace(
        rows=tuple(recorder.rows.values()),
        macs=tracer.table.macs[""],
        windows=tuple(tracer.table.windows[""]),
        single_value_norms=recorder.single_value_norms,
        output_shape=None if out is None else tuple(out.shape),
        skeleton=copied,
    )


def _empty_image(shape: tuple[int, int, int], dtype: torch.dtype, operation: str) -> Tensor:
    try:
        with torch.inference_mode(False):
            return torch.empty(1, *shape, dtype=dtype, device="meta")
    except (RuntimeError, TypeError):  # overflow
        raise ShapeError(f"{operation}: an image of {shape} is larger than any tensor") from None


def _row(name: str, module: nn.Module, before: Tensor | None, after: Tensor | None, table: LayoutTable) -> Row:
    layout_before, layout = table.get(before), table.get(after)
    size = layout.map if layout else None
    fields = layout.first_fields if layout and size and layout.reach <= Reach.GATED else None
    kernel, used_taps, idle_taps = tap_summary(table.windows[name])
    return Row(
        name=name,
        kind=type(module).__name__,
        input_map=layout_before.map if layout_before else None,
        output_map=size,
        channels=after.numel() // (size[0] * size[1]) if after is not None and size and all(size) else None,
        stride=layout.stride if layout else None,
        receptive_field=(fields[0].size, fields[1].size) if fields else None,
        field_start=(fields[0].first, fields[1].first) if fields else None,
        reach=layout.reach.name.lower() if layout and size else None,
        kernel=kernel,
        used_taps=used_taps,
        idle_taps=idle_taps,
        macs=table.macs[name],
        params=sum(p.numel() for p in module.parameters()),
    )
