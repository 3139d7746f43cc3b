"""What do the kernels compile to, on any machine? Registers, spills, shared memory, barriers and loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from resizenet import Resizer
from resizenet.kernels import head_and_moments, launch_crop_resize

from ._calls import Place
from ._smoke import attempt

CAPABILITIES = (80, 90, 100)  # ten times the compute capability
_SIZE = (32, 48)


def rows(place: Place) -> Iterator[dict[str, Any]]:
    """Yield one row per kernel and compute capability; if ``place.small``, only of one kernel and capability."""
    computations = (_crop_resize,) if place.small else (_inference, _training, _crop_resize)
    for capability in CAPABILITIES[:1] if place.small else CAPABILITIES:
        for compute in computations:
            found = attempt(lambda: compiled(compute, capability))  # noqa: B023, called at once
            setting = {"setting": f"sm_{capability}"}
            yield from ({"name": compute.__name__[1:], **setting, **found},) if isinstance(found, dict) else found


def compiled(compute: Callable[[], object], capability: int) -> list[dict[str, Any]]:
    """Return a row for each kernel that ``compute`` launches, with the launches of that compute capability."""
    from ._machine_code import compile_only  # imports triton

    with measured_launches(capability), compile_only(capability) as kernels:
        compute()
    found = []
    for one in kernels:
        usage = {name: getattr(one, name) for name in ("registers", "stack", "shared", "barriers", "loads")}
        usage["instructions"] = one.instructions
        result = f"{one.registers} registers, {one.stack} bytes spilled, {one.shared} of shared memory"
        found.append(
            {"name": name_of(one.kernel, one.constants), "setting": f"sm_{capability}", "result": result} | usage
        )
    return found


def measured_launches(capability: int) -> Any:
    """Return a context in which tensors of the CPU are launched as on a device of this compute capability."""
    from resizenet.kernels.triton._launch import TABLE  # imports triton

    return mock.patch.dict(TABLE, {None: TABLE.get(divmod(capability, 10), TABLE[None])})


def name_of(kernel: str, constants: dict[str, Any]) -> str:
    """Return "head", "conv", "conv, residual", "tail", "moments", "backward" or "crop_resize"."""
    name = kernel.removeprefix("_").removesuffix("_kernel")
    if name != "conv":
        return name
    return "tail" if constants["WINDOW"] == 8 else "conv, residual" if constants["RESIDUAL"] else "conv"


def _images() -> Tensor:
    return torch.zeros(2, 3, 2 * _SIZE[0], 2 * _SIZE[1], dtype=torch.bfloat16)


@torch.no_grad()
def _inference() -> None:
    Resizer(_SIZE).eval().to(torch.bfloat16).fuse(kernels="always").half_resizer(_images())


def _training() -> None:
    head = Resizer(_SIZE).head.to(torch.bfloat16)
    results = head_and_moments(_images(), head)
    torch.autograd.grad(results, list(head.parameters()), [torch.zeros_like(result) for result in results])


def _crop_resize() -> None:
    x = torch.zeros(2, 3, 256, 256, dtype=torch.uint8)
    ones, boxes, flip = torch.ones(3), torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, dtype=torch.bool)
    options = {"flip": flip, "scale": ones, "shift": ones, "antialias": True, "dtype": torch.bfloat16}
    launch_crop_resize(x, boxes, (224, 224), **options)
