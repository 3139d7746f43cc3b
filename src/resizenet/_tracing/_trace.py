"""Runs a model on meta tensors and notes what every module does to the map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from .._errors import ShapeError, UnsupportedModelError
from ._dispatch import Follower
from ._layout import Layout, Reach
from ._skeleton import skeleton
from ._table import Window
from ._taps import taps_of


@dataclass(frozen=True)
class Row:
    """What one module does. A map is a tensor that still has the image's rows and columns, in whatever order its dimensions are.

    Attributes:
        name: its path in the model, such as "layer1.0.conv1".
        kind: its class's name.
        input_map: (height, width) of the first input, None unless that is a map.
        output_map: (height, width) of the output, None unless that is a map.
        channels: of the output map.
        stride: (vertical, horizontal) input pixels from one cell of the output to the next; None where unknown.
        receptive_field: (height, width) in input pixels, theoretical: pixels beyond the border count; None unless ``reach`` is "window" or "gated".
        field_start: (row, column) of the first pixel that the first cell sees, negative beyond the border; None where the field is.
        reach: what a cell of the output map sees: "window", "gated" (a window, scaled or normalised by something that sees more, such as a
            squeeze-and-excitation), "image" (everything) or "unknown" (a part that is not the same for all cells, as in window attention).
        kernel: (height, width) of the convolution's kernel; of several inside, the one that uses the smallest share of its taps; None without any.
        used_taps: how many taps of that kernel ever meet the map; the others only ever meet padding.
        idle_taps: the share, 0..1, of the weights of all kernels inside that only ever meet padding.
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
    field_start: tuple[int, int] | None
    reach: str | None
    kernel: tuple[int, int] | None
    used_taps: int | None
    idle_taps: float | None
    macs: int
    params: int

    @property
    def parent(self) -> str:
        """The path of the module around it, "" at the top."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Trace:
    """What ``trace`` found.

    Attributes:
        rows: one per module that was called, in the order in which they finish.
        macs: of the whole model.
        windows: every call of a convolution or pooling, in order.
        single_value_norms: batch norms that see one value per channel in a batch of one image.
        classifier: the last linear layer; None without any.
    """

    rows: tuple[Row, ...]
    macs: int
    windows: tuple[Window, ...]
    single_value_norms: tuple[str, ...]
    classifier: str | None


@dataclass(frozen=True, eq=False)
class _Call:
    before: Layout | None
    after: Layout | None
    numel: int  # of the output
    single_value: bool


def _first(values: object) -> Tensor | None:
    return next((leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)), None)


class _Recorder:
    """Hooks that note each module's input and output, in the order in which the modules finish, and tell the follower which one runs."""

    def __init__(self, model: nn.Module, follower: Follower) -> None:
        self._names = {module: name for name, module in model.named_modules() if name}
        self._known = follower.known
        self._outer: list[str] = []
        self.calls: dict[str, _Call] = {}
        for module in self._names:
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._outer.append(self._known.module)
        self._known.module = self._names[module]

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._known.module = self._outer.pop()
        before, after = _first(args), _first(output)
        single_value = (
            isinstance(module, _BatchNorm)
            and before is not None
            and before.ndim > 1
            and before.numel() == before.shape[1]
        )
        numel = after.numel() if after is not None else 0
        name = self._names[module]
        self.calls.pop(name, None)  # of several calls, the last
        self.calls[name] = _Call(self._known.get(before), self._known.get(after), numel, single_value)


def trace(model: nn.Module, in_channels: int, size: tuple[int, int]) -> Trace:
    """What every module that the model calls does to one image.

    Raises:
        ShapeError: the model cannot take an image of this size.
        UnsupportedModelError: the model cannot be copied, or not be run on one image without values.
    """
    copied = skeleton(model)
    dtype = next((p.dtype for p in model.parameters()), torch.get_default_dtype())
    image = torch.empty(1, in_channels, *size, dtype=dtype, device="meta")
    follower = Follower(image)
    recorder = _Recorder(copied, follower)
    counter = FlopCounterMode(display=False)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), _refusing(model), counter, follower:
            copied(image)
    except NotImplementedError as error:  # a RuntimeError, but not of a shape
        raise _untraceable(model, error) from error
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ShapeError(
            f"report: {type(model).__name__} cannot take an image of ({in_channels}, {size[0]}, {size[1]}): {error}"
        ) from error
    except Exception as error:
        raise _untraceable(model, error) from error
    macs = {path.partition(".")[2]: sum(flops.values()) // 2 for path, flops in counter.get_flop_counts().items()}
    inside = _by_module(follower.known.windows)
    modules = dict(model.named_modules())
    return Trace(
        rows=tuple(
            _row(name, modules[name], call, inside.get(name, []), macs.get(name, 0))
            for name, call in recorder.calls.items()
        ),
        macs=counter.get_total_flops() // 2,
        windows=tuple(follower.known.windows),
        single_value_norms=tuple(name for name, call in recorder.calls.items() if call.single_value),
        classifier=next((name for name in reversed(recorder.calls) if isinstance(modules[name], nn.Linear)), None),
    )


def _refusing(model: nn.Module) -> RemovableHandle:
    """Modules of the model itself, which a function that was put in the place of a forward may hold, are not called for a while."""
    own = set(model.modules())

    def refuse(module: nn.Module, args: Any) -> None:
        if module in own:
            raise NotImplementedError("a forward that was replaced calls the model instead of its copy")

    return register_module_forward_pre_hook(refuse)


def _untraceable(model: nn.Module, error: Exception) -> UnsupportedModelError:
    reason = str(error).partition("\n")[0]
    return UnsupportedModelError(
        f"report: {type(model).__name__} cannot be traced on one image without values: {type(error).__name__}: {reason}"
    )


def _by_module(windows: list[Window]) -> dict[str, list[Window]]:
    """The windows of each module and of those inside it."""
    inside: dict[str, list[Window]] = {}
    for window in windows:
        parts = window.module.split(".")
        for depth in range(1, len(parts) + 1):
            inside.setdefault(".".join(parts[:depth]), []).append(window)
    return inside


def _row(name: str, module: nn.Module, call: _Call, windows: list[Window], macs: int) -> Row:
    after = call.after
    size = after.map if after else None
    cell = after.cell if after and size else None
    within = after is not None and after.reach <= Reach.GATED
    taps = taps_of(windows)
    return Row(
        name=name,
        kind=type(module).__name__,
        input_map=call.before.map if call.before else None,
        output_map=size,
        channels=call.numel // (size[0] * size[1]) if size else None,
        stride=after.stride if after else None,
        receptive_field=(cell[0].size, cell[1].size) if cell and within else None,
        field_start=(cell[0].first, cell[1].first) if cell and within else None,
        reach=after.reach.name.lower() if after and size else None,
        kernel=taps.kernel if taps else None,
        used_taps=taps.used if taps else None,
        idle_taps=taps.idle if taps else None,
        macs=macs,
        params=sum(p.numel() for p in module.parameters()),
    )
