"""Where a model shrinks its map, and which changes of its layers take some of these strides out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from .._errors import UnsupportedModelError
from .._modules import check_parameters
from .._tracing import FirstLayers, Trace, Window
from ._changes import Change, side

_GLOBAL_POOL = 4  # a pooling with this stride or more that leaves one position belongs to the classifier


@dataclass(frozen=True)
class Step:
    """The layers that take the stride from ``start`` to ``start * factor``, in parallel branches too.

    Attributes:
        start: pixels of the image between positions of the map before.
        factor: stride of the layers.
        windows: their calls.
    """

    start: int
    factor: int
    windows: tuple[Window, ...]


def is_global_pool(window: Window) -> bool:
    """Whether it pools the whole map in front of the classifier."""
    return window.weight is None and window.after == (1, 1) and max(window.stride) >= _GLOBAL_POOL


def is_patch_embedding(window: Window) -> bool:
    """Whether it reads patches that do not overlap."""
    return window.weight is not None and window.kernel == window.stride and window.padding == (0, 0)


def find_steps(traced: Trace, stem: FirstLayers | None) -> list[Step]:
    """Return the steps in the order in which they are taken out.

    That is from the front, but the pool behind the first convolution comes before this convolution.
    """
    starts: defaultdict[int, list[Window]] = defaultdict(list)
    for window in traced.windows:
        is_square = window.scale is not None and len({*window.scale}) == len({*window.stride}) == 1
        if window.scale and is_square and window.stride[0] > 1 and not is_global_pool(window):
            starts[window.scale[0]].append(window)
    steps = []
    for start, windows in sorted(starts.items()):
        factor = min(window.stride[0] for window in windows)  # a larger one is a branch that shrinks its map further
        steps.append(Step(start, factor, tuple(window for window in windows if window.stride[0] == factor)))
    pools = [step for step in steps if stem and stem.pool in step.windows]
    return pools + [step for step in steps if step not in pools]


def shorten(steps: Iterable[Step], stride: int, target: int) -> dict[Step, int]:
    """Return a new factor for every step that changes: factors are halved from the first on, down to ``target``."""
    factors = {step: step.factor for step in steps}
    for step in steps:
        while stride > target and factors[step] % 2 == 0:
            factors[step] //= 2
            stride //= 2
    return {step: factor for step, factor in factors.items() if factor != step.factor}


def new_stride(stride: int, factors: Mapping[Step, int]) -> int:
    """Return what a stride between the image and a map becomes with new factors."""
    passed = {step: factor for step, factor in factors.items() if stride >= step.start * step.factor}
    return stride * prod(passed.values()) // prod(step.factor for step in passed)


def step_changes(
    model: nn.Module, steps: Iterable[Step], step: Step, factor: int, *, but: str | None
) -> Iterator[Change]:
    """Yield the changes that give the layers of a step another stride, except the one at the path ``but``.

    Raises:
        UnsupportedModelError: a stride is not an attribute of a module, or the module is called in several steps.
    """
    others = {window.module for other in steps if other is not step for window in other.windows}
    convolves = any(isinstance(model.get_submodule(window.module), nn.Conv2d) for window in step.windows)
    for path, window in {window.module: window for window in step.windows if window.module != but}.items():
        module = model.get_submodule(path)
        where = f"{type(model).__name__}.{path}".rstrip(".")
        if path in others:
            raise _in_the_way(f"{where} is called at several strides", step)
        if side(getattr(module, "stride", 0)) != step.factor:
            raise _in_the_way(f"the forward of {where} calls a function that shrinks the map", step)
        if next(module.parameters(), None) is None:
            yield _pool_change(model, path, window, factor, beside_convolution=convolves)
        else:
            yield from _convolution_changes(module, path, where, window, factor)


def _in_the_way(obstacle: str, step: Step) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"adapt: {obstacle}, from stride {step.start} to {step.start * step.factor}, so this stride cannot be taken "
        'out; choose another output_stride or stem="keep", or resize the images instead, for example with '
        "UpscalePolicy or Resizer.wrap"
    )


def _convolution_changes(module: Any, path: str, where: str, window: Window, factor: int) -> Iterator[Change]:
    """Yield the new stride; patches that do not overlap get a kernel of the same size."""
    if is_patch_embedding(window):
        check_parameters(module, where, operation="adapt", names=("weight",))
        yield Change(path, "kernel", window.kernel[0], factor, "pinv")
    yield Change(path, "stride", window.stride[0], factor)


def _pool_change(model: nn.Module, path: str, window: Window, factor: int, *, beside_convolution: bool) -> Change:
    """Return the change of a pooling that is alone, or that is parallel to a convolution.

    Without its stride, a pooling that is alone becomes an Identity. So does a blur, which only serves the stride, and a
    kernel with an even side, which would shrink the map by one position. The others lose their stride only.
    """
    odd_pool = window.weight is None and window.kernel[0] % 2 == 1
    if factor > 1 or (beside_convolution and odd_pool):
        return Change(path, "stride", window.stride[0], factor)
    while path.rpartition(".")[0] and _only_pools(model.get_submodule(path.rpartition(".")[0])):
        path = path.rpartition(".")[0]
    return Change(path, "type", type(model.get_submodule(path)).__name__, "Identity")


def _only_pools(module: nn.Module) -> bool:
    """Whether it is a Sequential of poolings, such as the max pool and the blur of anti-aliased networks."""
    return isinstance(module, nn.Sequential) and all(hasattr(layer, "stride") for layer in module)
