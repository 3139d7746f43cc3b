"""What a device can do at most, and what a task needs at least: together the floor that no implementation gets below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ._timing import DTYPES, alternate, inference_call, training_call

COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}  # many times any cache
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
_ROUNDS = 5


@dataclass(frozen=True)
class Work:
    """What a task needs, whoever does it.

    Attributes:
        flops: of convolutions and matrix products, two for each multiply-accumulate; other arithmetic is not counted.
        least_bytes: what has to be moved: inputs and parameters are read, results are written, once; what lies between them could stay on the chip.
    """

    flops: int
    least_bytes: int


def inference_work(model: nn.Module, images: Tensor) -> Work:
    """Of a forward pass: images and parameters are read, the output is written."""
    flops, output = _counted(inference_call(model, images))
    assert output is not None
    return Work(flops, _bytes([images, output, *model.parameters()]))


def training_work(model: nn.Module, images: Tensor) -> Work:
    """Of a forward and a backward pass: images and parameters are read, a gradient is written for every parameter."""
    flops, _ = _counted(training_call(model, images))
    return Work(flops, _bytes([images, *model.parameters(), *model.parameters()]))


def _counted(call: Callable[[], Tensor | None]) -> tuple[int, Tensor | None]:
    with FlopCounterMode(display=False) as counter:
        result = call()
    return counter.get_total_flops(), result


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Ceilings:
    """Rates of the device, each measured when it is first asked for.

    Attributes:
        measured: "copy" in bytes per second, those read and those written counted; a dtype's name in FLOP per second.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.measured: dict[str, float] = {}

    def copy(self) -> float:
        """Bytes per second of a large copy."""
        if "copy" not in self.measured:
            source = torch.zeros(COPY_BYTES[self.device.type], dtype=torch.uint8, device=self.device)
            target = torch.empty_like(source)
            self.measured["copy"] = 2 * source.numel() / self._seconds(lambda: target.copy_(source))
        return self.measured["copy"]

    def matrix(self, dtype: str) -> float:
        """FLOP per second of a product of large square matrices; float32 by the same units that its convolutions take."""
        if dtype not in self.measured:
            side = MATRIX_SIDE[self.device.type]
            left, right = (torch.rand(side, side, device=self.device).to(DTYPES[dtype]) for _ in range(2))
            with _precision_of_convolutions(self.device):
                self.measured[dtype] = 2 * side**3 / self._seconds(lambda: left @ right)
        return self.measured[dtype]

    def floor(self, work: Work, dtype: str) -> dict[str, object]:
        """The columns of a row: what was counted, the seconds that it takes at the least, and which rate sets them."""
        copying = work.least_bytes / self.copy()
        computing = work.flops / self.matrix(dtype) if work.flops else 0.0
        bound = "matrix" if computing > copying else "copy"
        return {
            "flops": work.flops,
            "least_bytes": work.least_bytes,
            "floor_s": max(copying, computing),
            "bound": bound,
        }

    def _seconds(self, call: Callable[[], object]) -> float:
        return min(alternate({"": call}, self.device, _ROUNDS)[""])


@contextmanager
def _precision_of_convolutions(device: torch.device) -> Iterator[None]:
    """Torch lets convolutions of float32 take TF32 on a GPU, and matrix products only where it is told to."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
