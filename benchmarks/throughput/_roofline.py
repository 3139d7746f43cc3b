"""The floor that no implementation gets below: what a task needs, at the rates that the device reaches."""

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
    """What a task needs in any implementation.

    What lies between inputs and results could stay on the chip, and arithmetic other than products is not counted.
    """

    flops: int  # of convolutions and matrix products, two per multiply-accumulate
    least_bytes: int  # inputs and parameters read once, results written once


def inference_work(model: nn.Module, images: Tensor) -> Work:
    """Count a forward pass: images and parameters are read, the output is written."""
    flops, output = _counted(inference_call(model, images))
    return Work(flops, _bytes([images, output, *model.parameters()]))


def training_work(model: nn.Module, images: Tensor) -> Work:
    """Count a forward and a backward pass: images and parameters are read, gradients of the parameters are written."""
    flops, _ = _counted(training_call(model, images))
    return Work(flops, _bytes([images, *model.parameters(), *model.parameters()]))


def _counted(call: Callable[[], Tensor]) -> tuple[int, Tensor]:
    with FlopCounterMode(display=False) as counter:
        result = call()
    return counter.get_total_flops(), result


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


class Ceilings:
    """Rates of the device, each measured when it is first needed.

    Attributes:
        measured: "copy" in bytes per second, read and written bytes both counted; a dtype's name in FLOP per second.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.measured: dict[str, float] = {}

    def copy(self) -> float:
        """Return the bytes per second of a large copy."""
        if "copy" not in self.measured:
            source = torch.zeros(COPY_BYTES[self.device.type], dtype=torch.uint8, device=self.device)
            target = torch.empty_like(source)
            self.measured["copy"] = 2 * source.nbytes / self._seconds(lambda: target.copy_(source))
        return self.measured["copy"]

    def matrix(self, dtype: str) -> float:
        """Return the FLOP per second of a product of large square matrices."""
        if dtype not in self.measured:
            side = MATRIX_SIDE[self.device.type]
            left, right = (torch.rand(side, side, device=self.device).to(DTYPES[dtype]) for _ in range(2))
            with _tf32_as_in_convolutions(self.device):
                self.measured[dtype] = 2 * side**3 / self._seconds(lambda: left @ right)
        return self.measured[dtype]

    def floor(self, work: Work, dtype: str) -> dict[str, object]:
        """Return the fields of a row: the work, the least seconds that it takes, and which rate sets them."""
        copying = work.least_bytes / self.copy()
        computing = work.flops / self.matrix(dtype) if work.flops else 0.0
        bound = "matrix" if computing > copying else "copy"
        floor = max(copying, computing)
        return {"flops": work.flops, "least_bytes": work.least_bytes, "floor_s": floor, "bound": bound}

    def _seconds(self, call: Callable[[], object]) -> float:
        return min(alternate({"": call}, self.device, _ROUNDS)[""])


@contextmanager
def _tf32_as_in_convolutions(device: torch.device) -> Iterator[None]:
    """By default torch lets float32 convolutions take TF32 on a GPU, but not matrix products."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
