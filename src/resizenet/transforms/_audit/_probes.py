"""Test images, uint8 (3, H, W), made of plain numbers so that every call gets the same ones."""

from __future__ import annotations

import torch
from torch import Tensor


def constant(size: tuple[int, int], color: tuple[int, int, int]) -> Tensor:
    """One color everywhere."""
    return torch.tensor(color, dtype=torch.uint8, device="cpu")[:, None, None].expand(3, *size).contiguous()


def noise(size: tuple[int, int]) -> Tensor:
    """Independent uniform pixels, which tell all kernels apart."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    return torch.randint(256, (3, *size), dtype=torch.uint8, generator=generator, device="cpu")


def photograph(size: tuple[int, int]) -> Tensor:
    """Noise whose amplitude falls as 1 / frequency, as in photographs (Field, JOSA A 4(12), 1987)."""
    generator = torch.Generator(device="cpu").manual_seed(1)
    white = torch.randn(3, *size, dtype=torch.float64, generator=generator, device="cpu")
    rows, columns = (torch.fft.fftfreq(side, dtype=torch.float64, device="cpu") for side in size)
    frequency = (rows[:, None].square() + columns.square()).sqrt().clamp(min=1 / max(size))
    pink = torch.fft.ifft2(torch.fft.fft2(white) / frequency).real
    pink = pink / pink.std((1, 2), keepdim=True).clamp(min=1e-9)
    image: Tensor = (127.5 + 50 * pink).round().clamp(0, 255).to(torch.uint8)
    return image


def ramp(size: tuple[int, int], axis: int) -> Tensor:
    """Brighter along one axis, 0 for rows and 1 for columns; ``ramp_position`` turns values into positions."""
    line = ((torch.arange(size[axis], device="cpu") + 0.5) * (255 / size[axis])).round().to(torch.uint8)
    return (line[:, None] if axis == 0 else line).expand(3, *size).contiguous()


def ramp_position(values: Tensor, length: int) -> Tensor:
    """The center of the pixel of a ramp that has this value, in pixels from the center of the first one."""
    return values * (length / 255) - 0.5
