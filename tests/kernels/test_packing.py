"""Packed filters: one matrix product per 2x2 block gives the convolution at its four pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reference
from resizenet.kernels import _packing


def windows(x: reference.Array, size: int, before: int) -> reference.Array:
    """(I, H, W) -> (blocks, I, size, size): windows that begin ``before`` pixels above and left of each 2x2 block."""
    padded = np.pad(x, [(0, 0), (before, size), (before, size)])
    blocks = [(y, x_) for y in range(0, x.shape[1], 2) for x_ in range(0, x.shape[2], 2)]
    return np.stack([padded[:, y : y + size, x_ : x_ + size] for y, x_ in blocks])


def by_phase(convolved: reference.Array) -> reference.Array:
    """(O, H, W) -> (blocks, 4, O), the pixels of each 2x2 block row by row."""
    blocks = [(y, x) for y in range(0, convolved.shape[1], 2) for x in range(0, convolved.shape[2], 2)]
    return np.stack([convolved[:, y : y + 2, x : x + 2].reshape(-1, 4).T for y, x in blocks])


def test_a_packed_head_is_the_convolution_at_the_four_pixels_of_a_block() -> None:
    x, weight = torch.randn(3, 6, 10, dtype=torch.float64).numpy(), torch.randn(5, 3, 7, 7, dtype=torch.float64)
    matrix = _packing.pack_head(weight).numpy()
    rows = windows(x, 10, 4)[:, :, 1:9].reshape(15, -1)  # 8 rows from 3 above, 10 columns from 4 to the left
    assert matrix.shape == (256, 20)
    assert not matrix[240:].any()
    expected = by_phase(reference.convolve(x[None], weight.numpy())[0])
    np.testing.assert_allclose((rows @ matrix[:240]).reshape(15, 4, 5), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 7])
def test_a_packed_convolution_is_the_convolution_at_the_four_pixels_of_a_block(kernel: int) -> None:
    x, weight = (
        torch.randn(16, 6, 4, dtype=torch.float64).numpy(),
        torch.randn(3, 16, kernel, kernel, dtype=torch.float64),
    )
    matrix, bias = _packing.pack_conv(weight).numpy(), torch.randn(3, dtype=torch.float64)
    rows = windows(x, kernel + 1, kernel // 2).transpose(0, 2, 3, 1).reshape(6, -1)
    ours = (rows @ matrix + _packing.pack_bias(bias).numpy()).reshape(6, 4, 4)
    np.testing.assert_allclose(
        ours[:, :, :3], by_phase(reference.convolve(x[None], weight.numpy(), bias.numpy())[0]), rtol=1e-12, atol=1e-12
    )
    assert not ours[:, :, 3].any()


@pytest.mark.parametrize("antialias", [True, False])
def test_a_packed_skip_is_the_fixed_resize_away_from_the_border(antialias: bool) -> None:
    x, mix = torch.randn(2, 12, 12, dtype=torch.float64).numpy(), torch.randn(5, 2, dtype=torch.float64)
    matrix = _packing.pack_skip(mix, antialias=antialias).numpy()
    rows = windows(x, 10, 4)[:, :, 1:9].reshape(36, -1)
    resized = np.einsum("oc,chw->hwo", mix.numpy(), reference.resize(x, (6, 6), antialias=antialias))
    np.testing.assert_allclose(
        (rows @ matrix[:160]).reshape(6, 6, 16)[1:-1, 1:-1, :5], resized[1:-1, 1:-1], rtol=1e-12, atol=1e-12
    )
