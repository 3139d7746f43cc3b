"""How each kernel is launched: its tile, warps, pipeline stages and registers, by compute capability."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

from ._tuned import TUNED

Capability = tuple[int, int]


@dataclass(frozen=True)
class Launch:
    """The numbers of a launch that change its speed, and its results by rounding at most.

    Attributes:
        tile: (rows, columns) of low-resolution pixels of a program: 16 at least, powers of two. Of "crop_resize":
            rows of the result in a strip, and the most values that a program keeps in registers.
        num_warps: of a program.
        num_stages: chunks of the sum that are loaded ahead, that of the current product included. The loop of "head"
            and "moments" is unrolled if it is 1.
        maxnreg: the most registers of a thread; None lets the compiler decide.
        programs: of "backward" per multiprocessor. The other kernels have one program per tile.
    """

    tile: tuple[int, int]
    num_warps: int
    num_stages: int = 1
    maxnreg: int | None = None
    programs: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of a launch: its tile as constants, and the options of the compiler."""
        compiler = {"num_warps": self.num_warps, "num_stages": self.num_stages, "maxnreg": self.maxnreg}
        return {"TILE_H": self.tile[0], "TILE_W": self.tile[1], **compiler, "enable_fp_fusion": True}


# Chosen by what they compile to. With 128 registers, two programs of 8 warps run on a multiprocessor.
DEFAULT = {
    "head": Launch((8, 16), num_warps=8, num_stages=2, maxnreg=128),
    "conv": Launch((8, 16), num_warps=8, num_stages=3),
    "tail": Launch((4, 16), num_warps=4, num_stages=1),  # its overlapping windows are read through the L1 cache
    "moments": Launch((8, 16), num_warps=8, num_stages=2, maxnreg=128),
    # The gradients of the weights take most of the registers. Without a number, triton 3.6 takes 128 on sm_80.
    "backward": Launch((4, 8), num_warps=8, num_stages=3, maxnreg=255),
    "crop_resize": Launch((32, 1024), num_warps=1, num_stages=3),  # rows between two strips are read twice
}
# None stands for devices that were not measured and for the interpreter.
TABLE: dict[Capability | None, dict[str, Launch]] = {
    None: DEFAULT,
    **{
        capability: DEFAULT | {kernel: Launch(**numbers) for kernel, numbers in kernels.items()}
        for capability, kernels in TUNED.items()
    },
}


def launch_of(kernel: str, device: torch.device) -> Launch:
    """Return the measured launch of a kernel on ``device``, or that of devices which were not measured."""
    return TABLE.get(_capability(device), TABLE[None])[kernel]


@functools.cache
def _capability(device: torch.device) -> Capability | None:
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else None
