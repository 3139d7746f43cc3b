"""What several resizers share: how they start, sizes per call, guards, fused copies."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import reference
from resizenet import (
    DtypeError,
    FixedResizer,
    LaplacianResizer,
    LinearResizer,
    Resizer,
    ShapeError,
    UnsupportedModelError,
)
from resizenet.functional import resize

EXACT = {"rtol": 0, "atol": 1e-10}  # float64
LEARNED = [LinearResizer, Resizer]

learned = pytest.mark.parametrize("make", LEARNED, ids=lambda make: make.__name__)
resizers = pytest.mark.parametrize("make", [FixedResizer, *LEARNED], ids=lambda make: make.__name__)


@resizers
def test_convention_they_start_antialiased_with_half_pixel_centers(make: type[nn.Module]) -> None:
    x = torch.rand(2, 3, 23, 31, dtype=torch.float64)
    expected = torch.from_numpy(reference.resize(x.numpy(), (7, 11), "bilinear", True))
    torch.testing.assert_close(make((7, 11)).double()(x), expected, **EXACT)
    for align_corners in (True, False):
        alternative = F.interpolate(x, (7, 11), mode="bilinear", align_corners=align_corners)
        assert (alternative - expected).abs().max() > 0.1


@resizers
def test_a_call_may_ask_for_another_size(make: type[nn.Module]) -> None:
    resizer, x = make(7).eval(), torch.rand(1, 3, 13, 11)
    assert [resizer(x, size).shape[-2:] for size in (None, 5, (3, 17), None)] == [(7, 7), (5, 5), (3, 17), (7, 7)]


@resizers
def test_fusing_gives_a_frozen_copy_with_the_same_results(
    make: type[nn.Module], randomized: Callable[[nn.Module], nn.Module]
) -> None:
    resizer, x = randomized(make(7)).train(), torch.rand(2, 3, 13, 11, dtype=torch.float64)
    before = {name: tensor.clone() for name, tensor in resizer.state_dict().items()}
    fused = resizer.fuse()
    assert resizer.training
    assert all(p.requires_grad for p in resizer.parameters())
    torch.testing.assert_close(dict(resizer.state_dict()), before, rtol=0, atol=0)
    assert not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    torch.testing.assert_close(fused(x), resizer.eval()(x), **EXACT)


@pytest.mark.parametrize("make", [FixedResizer, *LEARNED, LaplacianResizer], ids=lambda make: make.__name__)
def test_fusing_ignores_the_default_device_and_inference_mode(make: type[nn.Module]) -> None:
    with torch.inference_mode():
        resizer = make((7, 11))
    with torch.device("meta"):
        fused = resizer.fuse()
    x = torch.rand(2, 3, 14, 22, requires_grad=True)
    torch.testing.assert_close(fused(x), FixedResizer((7, 11))(x))


@learned
def test_sharded_parameters_are_refused(make: type[nn.Module], sharded: Callable[[nn.Module], nn.Module]) -> None:
    with pytest.raises(UnsupportedModelError, match=f"fuse: the parameters of FSDP{make.__name__} are sharded"):
        sharded(make(7)).fuse()


@pytest.mark.parametrize(
    "image", [[[0.0]], np.zeros((1, 3, 5, 5), np.float32), None, torch.zeros(1, 3, 5, 5).to_sparse()]
)
@pytest.mark.parametrize("make", [FixedResizer, *LEARNED, LaplacianResizer], ids=lambda make: make.__name__)
def test_what_is_no_dense_tensor_is_named(make: type[nn.Module], image: object) -> None:
    with pytest.raises(DtypeError, match=r"expected a dense tensor \(B, C, H, W\), got "):
        make(7)(image)


@learned
def test_if_channels_change_the_skip_repeats_them(make: type[nn.Module]) -> None:
    x = torch.rand(2, 2, 11, 13)
    start = make((5, 7), in_channels=2, out_channels=5).eval()(x)
    torch.testing.assert_close(start, resize(x, (5, 7))[:, [0, 1, 0, 1, 0]])


@learned
@pytest.mark.parametrize("shape", [(2, 1, 5, 5), (3, 5, 5), (2, 3, 0, 5)])
def test_learned_resizers_name_a_wrong_shape(make: type[nn.Module], shape: tuple[int, ...]) -> None:
    got = str(shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(
        ShapeError, match=rf"{make.__name__}: expected \(B, 3, H, W\) with at least one pixel, got {got}"
    ):
        make(7)(torch.rand(shape))


@pytest.mark.parametrize("make", [*LEARNED, LaplacianResizer], ids=lambda make: make.__name__)
def test_learned_resizers_do_not_take_integers(make: type[nn.Module]) -> None:
    message = f"{make.__name__}: expected a floating point image, got torch.uint8; scale it first"
    with pytest.raises(DtypeError, match=message):
        make(7)(torch.zeros(2, 3, 5, 5, dtype=torch.uint8))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinearResizer((3, 4)),
        lambda: Resizer((3, 4), channels=2, norm="group"),
        lambda: LaplacianResizer((3, 4)),
    ],
)
def test_gradients_have_gradients(make: Callable[[], nn.Module], randomized: Callable[[nn.Module], nn.Module]) -> None:
    x = torch.rand(1, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(randomized(make()), (x,))


@pytest.mark.parametrize("interpolation", ["nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_the_fixed_resizer_is_the_reference_and_has_no_parameters(interpolation: str, antialias: bool) -> None:
    x = torch.rand(2, 3, 23, 13, dtype=torch.float64)
    resizer = FixedResizer((7, 29), interpolation=interpolation, antialias=antialias)
    expected = torch.from_numpy(reference.resize(x.numpy(), (7, 29), interpolation, antialias))
    torch.testing.assert_close(resizer(x), expected, **EXACT)
    assert list(resizer.parameters()) == list(resizer.buffers()) == []


def test_the_fixed_resizer_takes_uint8() -> None:
    assert FixedResizer(5)(torch.zeros(1, 3, 11, 13, dtype=torch.uint8)).dtype == torch.uint8


def test_reprs_name_the_arguments() -> None:
    assert repr(FixedResizer(7)) == "FixedResizer(size=(7, 7), interpolation='bilinear', antialias=True)"
