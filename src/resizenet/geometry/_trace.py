"""Runs a model on meta tensors and notes what every module does to the map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .._errors import ShapeError
from ._field import Field

Fields = tuple[Field, Field]  # (vertical, horizontal)


@dataclass(frozen=True)
class Row:
    """What one module does.

    Attributes:
        name: its path in the model, such as "layer1.0.conv1".
        kind: its class's name.
        input_map: (height, width) of the first input, None unless that is a map (B, C, H, W).
        output_map: (height, width) of the output, None unless that is a map.
        channels: of the output map.
        stride: (vertical, horizontal) input pixels from one cell of the output to the next; None where unknown.
        receptive_field: (height, width) in input pixels, theoretical; None where unknown or not a window.
        macs: multiply-accumulates of convolutions and matrix products for one image, over all calls.
        params: parameters of the module and those inside it.
    """

    name: str
    kind: str
    input_map: tuple[int, int] | None
    output_map: tuple[int, int] | None
    channels: int | None
    stride: tuple[int, int] | None
    receptive_field: tuple[int, int] | None
    macs: int
    params: int

    @property
    def parent(self) -> str:
        """The path of the module around it, "" at the top."""
        return self.name.rpartition(".")[0]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1])


def _with_defaults(given: Sequence[Any], defaults: Sequence[Any]) -> Sequence[Any]:
    """As many positional arguments as there are defaults; torch leaves trailing ones out where they have their default."""
    return [*given, *defaults[len(given) :]][: len(defaults)]


def _map_of(value: object) -> tuple[int, int] | None:
    return (value.shape[2], value.shape[3]) if isinstance(value, Tensor) and value.ndim == 4 else None


class _FieldMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its hook untyped
    """Follows the receptive field of every tensor that depends on the image through the operations of the model."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: dict[int, tuple[Tensor, Fields | None]] = {}  # by id; the tensor is kept so that its id stays its own
        self._set(image, (Field(), Field()))

    def _set(self, tensor: Tensor, fields: Fields | None) -> None:
        self._known[id(tensor)] = (tensor, fields)

    def get(self, value: object) -> Fields | None:
        """(vertical, horizontal), or None where it is unknown or not a window."""
        return self._known[id(value)][1] if id(value) in self._known else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves(args) if id(leaf) in self._known]
        if inputs:
            for tensor in tree_leaves(out):
                if isinstance(tensor, Tensor):
                    self._set(tensor, self._fields(func.overloadpacket, args, inputs, tensor))
        return out

    def _fields(self, op: Any, args: Sequence[Any], inputs: Sequence[Tensor], out: Tensor) -> Fields | None:
        aten = torch.ops.aten
        if op is aten.convolution:
            stride, padding, dilation, transposed = args[3:7]
            return None if transposed else self._slide(args[0], args[1].shape[2:], stride, padding, dilation)
        if op is aten.max_pool2d_with_indices:
            kernel, stride, padding, dilation = _with_defaults(args[1:], [None, None, 0, 1])
            return self._slide(args[0], kernel, stride or kernel, padding, dilation)
        if op is aten.avg_pool2d:
            kernel, stride, padding = _with_defaults(args[1:], [None, None, 0])
            return self._slide(args[0], kernel, stride or kernel, padding, 1)
        if op is aten.slice and len(args) == 5 and args[1] in (2, 3):
            return self._subsample(*args)
        return self._cell_by_cell(inputs, out)

    def _slide(self, x: Tensor, *window: Any) -> Fields | None:
        """``window``: kernel, stride, padding and dilation, each an int or a pair."""
        fields = self.get(x)
        if fields is None:
            return None
        vertical, horizontal = (field.slide(*axis) for field, axis in zip(fields, zip(*map(_pair, window), strict=True), strict=True))
        return vertical, horizontal

    def _subsample(self, x: Tensor, dim: int, start: int, end: int, step: int) -> Fields | None:
        """Of every ``step``-th row (dim 2) or column (dim 3), as in ``x[:, :, ::2, ::2]``; None for a slice that leaves out more."""
        if start != 0 or end < x.shape[dim]:
            return None
        return self._slide(x, 1, (step, 1) if dim == 2 else (1, step), 0, 1)

    def _cell_by_cell(self, inputs: Sequence[Tensor], out: Tensor) -> Fields | None:
        """Of any other operation: the union over inputs that are maps of the output's size. Gates of 1x1 do not count."""
        fields = [self.get(x) for x in inputs if _map_of(x) == _map_of(out)]
        if _map_of(out) is None or not fields or None in fields:
            return None
        union = fields[0]
        for other in fields[1:]:
            axes = [a.union(b) for a, b in zip(union or (), other or (), strict=True)]
            union = None if None in axes else (axes[0], axes[1])  # type: ignore[assignment]  # neither is None here
        return union


class _Recorder:
    """Hooks that note each module's input, output and receptive field, in the order in which the modules finish."""

    def __init__(self, model: nn.Module, mode: _FieldMode) -> None:
        self._names = {module: name for name, module in model.named_modules() if name}
        self._mode = mode
        self.calls: dict[str, tuple[object, object, Fields | None]] = {}

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if module in self._names:
            self.calls[self._names[module]] = (next(iter(args), None), output, self._mode.get(output))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while, every module put back as it was."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, flag in training.items():
            module.training = flag


def trace(model: nn.Module, in_channels: int, size: tuple[int, int]) -> tuple[list[Row], int]:
    """Every module that the model calls for one image, in the order in which they finish, and the MACs of all.

    Raises:
        ShapeError: the model cannot take an image of this size.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    on_meta = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    dtype = next((p.dtype for p in model.parameters()), torch.get_default_dtype())
    image = torch.empty(1, in_channels, *size, dtype=dtype, device="meta")
    mode = _FieldMode(image)
    recorder = _Recorder(model, mode)
    counter = FlopCounterMode(display=False)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_evaluating(model))
        stack.callback(register_module_forward_hook(recorder).remove)
        stack.enter_context(counter)
        stack.enter_context(mode)
        try:
            torch.func.functional_call(model, on_meta, (image,))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ShapeError(f"report: {type(model).__name__} cannot take an image of ({in_channels}, {size[0]}, {size[1]}): {error}") from error
    macs = {path.partition(".")[2]: sum(flops.values()) // 2 for path, flops in counter.get_flop_counts().items()}
    modules = dict(model.named_modules())
    rows = [_row(name, modules[name], call, macs.get(name, 0)) for name, call in recorder.calls.items()]
    return rows, counter.get_total_flops() // 2


def _row(name: str, module: nn.Module, call: tuple[object, object, Fields | None], macs: int) -> Row:
    before, after, fields = call
    output_map = _map_of(after)
    return Row(
        name=name,
        kind=type(module).__name__,
        input_map=_map_of(before),
        output_map=output_map,
        channels=after.shape[1] if isinstance(after, Tensor) and output_map else None,
        stride=(fields[0].stride, fields[1].stride) if fields else None,
        receptive_field=(fields[0].size, fields[1].size) if fields else None,
        macs=macs,
        params=sum(p.numel() for p in module.parameters()),
    )
