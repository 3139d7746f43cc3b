"""Norms as affine maps behind a resize."""

import pytest
import torch

from resizenet.resizers._network import apply_affine


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_an_affine_map_rounds_once(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    features, scale, shift = torch.randn(2, 5, 7, 11).to(dtype), *(torch.randn(2, *shape).to(dtype))
    exact = features.double() * scale.double()[..., None, None] + shift.double()[..., None, None]
    rounding = torch.finfo(dtype).eps / 2 * exact.abs()
    assert ((apply_affine(features, scale, shift).double() - exact).abs() <= rounding + 1e-7).all()
