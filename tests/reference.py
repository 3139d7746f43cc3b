"""Slow float64 oracles, written from the definitions and sharing no code with the library."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]


def keys_cubic(distance: float, a: float) -> float:
    """Keys, IEEE TASSP 29(6), 1981, equation 4, with a free parameter ``a``."""
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def antialiased_row(center: float, length: int, scale: float, interpolation: str) -> list[float]:
    """PIL's precompute_coeffs: the kernel widened by the factor, over the pixels inside the image, normalized."""
    wide = max(scale, 1.0)
    reach = {"bilinear": 1.0, "bicubic": 2.0}[interpolation] * wide
    first = max(int(center - reach + 0.5), 0)
    last = min(int(center + reach + 0.5), length)
    row = [0.0] * length
    for pixel in range(first, last):
        distance = (pixel + 0.5 - center) / wide
        row[pixel] = max(0.0, 1 - abs(distance)) if interpolation == "bilinear" else keys_cubic(distance, -0.5)
    return [weight / sum(row) for weight in row]


def interpolating_row(center: float, length: int, interpolation: str) -> list[float]:
    """OpenCV's resize: two or four neighbors at any factor; a neighbor outside is replaced by the border pixel."""
    source = center - 0.5
    left = math.floor(source)
    row = [0.0] * length
    reach = {"bilinear": 1, "bicubic": 2}[interpolation]
    for tap in range(left - reach + 1, left + reach + 1):
        weight = 1 - abs(source - tap) if interpolation == "bilinear" else keys_cubic(source - tap, -0.75)
        row[min(max(tap, 0), length - 1)] += weight
    return row


def resize_matrix(before: int, after: int, interpolation: str = "bilinear", antialias: bool = True) -> Array:
    """(after, before): the weight of each input pixel in each output pixel."""
    matrix = np.zeros((after, before))
    for pixel in range(after):
        if interpolation == "nearest-exact":
            matrix[pixel, (2 * pixel + 1) * before // (2 * after)] = 1
            continue
        center = (pixel + 0.5) * before / after
        if antialias:
            matrix[pixel] = antialiased_row(center, before, before / after, interpolation)
        else:
            matrix[pixel] = interpolating_row(center, before, interpolation)
    return matrix


def resize(x: Array, size: tuple[int, int], interpolation: str = "bilinear", antialias: bool = True) -> Array:
    """(..., H, W) -> (..., *size), one axis after the other."""
    rows = resize_matrix(x.shape[-2], size[0], interpolation, antialias)
    columns = resize_matrix(x.shape[-1], size[1], interpolation, antialias)
    return np.einsum("ih,...hw,jw->...ij", rows, x, columns)


def convolve(x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int | None = None) -> Array:
    """(B, I, H, W) by (O, I, k, k), zero padding, "same" for an odd kernel if None."""
    kernel = weight.shape[-1]
    margin = kernel // 2 if padding is None else padding
    padded = np.pad(x, [(0, 0), (0, 0), (margin, margin), (margin, margin)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("bihwuv,oiuv->bohw", windows, weight, optimize=True)
    return y if bias is None else y + bias[:, None, None]


def normalize(x: Array, weight: Array, bias: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """BatchNorm in evaluation: an affine map of each channel."""
    scale = weight / np.sqrt(var + eps)
    return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]


def leaky(x: Array, slope: float = 0.2) -> Array:
    return np.where(x > 0, x, slope * x)


def arrays(state: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in state.items()}


def learned_resizer(
    x: Array,
    size: tuple[int, int],
    state: Mapping[str, Array],
    num_blocks: int,
    *,
    skip_antialias: bool,
    feature_antialias: bool,
    parallel: bool = False,
) -> Array:
    """Figure 3 of Talebi & Milanfar, ICCV 2021, with BatchNorm in evaluation.

    With ``parallel`` every block reads the resized features instead of the last block's result, as in a wrong port.
    """

    def conv(x: Array, name: str) -> Array:
        return convolve(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(x: Array, name: str) -> Array:
        return normalize(x, *(state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")))

    def block(u: Array, name: str) -> Array:
        return norm(conv(leaky(norm(conv(u, f"{name}.0"), f"{name}.1")), f"{name}.3"), f"{name}.4")

    h = norm(leaky(conv(leaky(conv(x, "head.0")), "head.2")), "norm")
    b = resize(h, size, antialias=feature_antialias)
    z = b
    for index in range(num_blocks):
        z = z + block(b if parallel else z, f"blocks.{index}")
    z = norm(conv(z, "merge.0"), "merge.1") + b
    return conv(z, "tail") + resize(x, size, antialias=skip_antialias)
