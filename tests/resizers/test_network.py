"""The resize of the features, and norms as affine maps behind it."""

import pytest
import torch
from torch.nn.functional import interpolate

from resizenet.resizers._network import apply_affine, resize_features


@pytest.mark.parametrize(("before", "antialias"), [((8, 8), False), ((9, 8), True), ((8, 9), True), ((3, 12), True)])
def test_features_are_antialiased_beyond_a_factor_of_2(before: tuple[int, int], antialias: bool) -> None:
    features = torch.rand(1, 2, *before, dtype=torch.float64)
    expected = interpolate(features, (4, 4), mode="bilinear", antialias=antialias)
    found = resize_features(features, (4, 4), interpolation="bilinear", antialias=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_an_affine_map_rounds_once(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    features, scale, shift = torch.randn(2, 5, 7, 11).to(dtype), *(torch.randn(2, *shape).to(dtype))
    exact = features.double() * scale.double()[..., None, None] + shift.double()[..., None, None]
    rounding = torch.finfo(dtype).eps / 2 * exact.abs()
    assert ((apply_affine(features, scale, shift).double() - exact).abs() <= rounding + 1e-7).all()
