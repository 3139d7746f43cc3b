"""The Laplacian resizer against SciPy's filters and the published numbers."""

import numpy as np
import pytest
import torch
from scipy import ndimage

import reference
from resizenet import ArgumentError, FixedResizer, LaplacianResizer, UnknownNameError

SCIPY_MODE = {"reflect": "mirror", "replicate": "nearest", "zeros": "constant"}
GAUSSIAN = np.exp(-(np.arange(-2.0, 3.0) ** 2) / 2) / np.exp(-(np.arange(-2.0, 3.0) ** 2) / 2).sum()


def expected(
    x: reference.Array, size: tuple[int, int], weights: list[float], biases: list[float], mode: str
) -> reference.Array:
    """Section 3 of arXiv 2304.02859."""
    net = reference.resize(x, size)
    for weight, bias in zip(weights, biases, strict=True):
        blurred = x
        for axis in (2, 3):
            blurred = ndimage.correlate1d(blurred, GAUSSIAN, axis=axis, mode=SCIPY_MODE[mode])
        net = net + np.tanh(weight * reference.resize(blurred - x, size) + bias)
        x = blurred
    return net


@pytest.mark.parametrize("mode", SCIPY_MODE)
@pytest.mark.parametrize("size", [(7, 11), (23, 29)])
def test_it_equals_the_published_formula(mode: str, size: tuple[int, int]) -> None:
    resizer = LaplacianResizer(size, padding_mode=mode).double()
    weights, biases = [1.5, -2.5], [0.1, -0.2]
    resizer.load_state_dict(
        {"weight": torch.tensor(weights, dtype=torch.float64), "bias": torch.tensor(biases, dtype=torch.float64)}
    )
    x = torch.rand(2, 3, 13, 19, dtype=torch.float64)
    np.testing.assert_allclose(
        resizer(x).detach().numpy(), expected(x.numpy(), size, weights, biases, mode), atol=1e-12
    )


def test_it_has_four_parameters_and_starts_as_the_fixed_resize_with_a_gradient() -> None:
    resizer = LaplacianResizer((7, 11))
    x = torch.rand(2, 3, 13, 19)
    assert sum(parameter.numel() for parameter in resizer.parameters()) == 4
    out = resizer(x)
    torch.testing.assert_close(out, FixedResizer((7, 11))(x), rtol=0, atol=0)
    out.square().sum().backward()
    assert (resizer.weight.grad != 0).all()


def test_the_published_numbers_are_there_by_name() -> None:
    resizer = LaplacianResizer.paper(16)
    torch.testing.assert_close(resizer.weight.detach(), torch.tensor([1.892, -11.295]))
    torch.testing.assert_close(resizer.bias.detach(), torch.tensor([-0.014, 0.003]))
    with pytest.raises(
        UnknownNameError, match=r"weights: expected one of 'resnet50', got 'resnet5'; did you mean 'resnet50'\?"
    ):
        LaplacianResizer.paper(16, weights="resnet5")


def test_zero_padding_brightens_the_border_of_a_constant_image_and_reflection_does_not() -> None:
    x = torch.full((1, 3, 64, 64), 0.8)
    published = LaplacianResizer.paper(32)(x)
    assert published[0, 0, 16, 0] > 1.2  # 1.30 was published for a full-size edge
    reflected = LaplacianResizer.paper(32, padding_mode="reflect")(x)
    centre = published[0, 0, 16, 16]
    torch.testing.assert_close(
        reflected, centre.expand_as(reflected), rtol=0, atol=1e-4
    )  # tanh(0.003 - 0.014) away from 0.8 everywhere, and rounding times 11


@pytest.mark.parametrize("before", [(1, 1), (2, 1), (1, 5), (3, 2)])
def test_an_image_smaller_than_the_blur_stays_constant(before: tuple[int, int]) -> None:
    x = torch.full((1, 2, *before), 0.3, dtype=torch.float64)
    resizer = LaplacianResizer((5, 7)).double()
    torch.nn.init.constant_(resizer.weight, 3.0)
    torch.testing.assert_close(resizer(x), torch.full((1, 2, 5, 7), 0.3, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers: expected a positive int, got 0"),
        ({"kernel_size": 4}, "kernel_size: expected an odd number, got 4"),
        ({"sigma": "1"}, "sigma: expected a number above 0, got '1'"),
        ({"sigma": 0.0}, "sigma: expected a number above 0, got 0.0"),
        ({"padding_mode": "reflct"}, "did you mean 'reflect'"),
    ],
)
def test_numbers_outside_their_range_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        LaplacianResizer(16, **options)


@pytest.mark.parametrize(("sigma", "expected"), [(5e-324, [0, 0, 1, 0, 0]), (1e308, [0.2] * 5)])
def test_the_narrowest_blur_is_none_and_the_widest_is_a_mean(sigma: float, expected: list[float]) -> None:
    assert LaplacianResizer(16, sigma=sigma).kernel == pytest.approx(expected)


def test_the_published_weights_have_two_layers() -> None:
    with pytest.raises(ArgumentError, match="num_layers: expected 2, as the published weights have, got 1"):
        LaplacianResizer.paper(16, num_layers=1)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_a_compiled_one_pads_in_the_same_way(mode: str) -> None:
    resizer = LaplacianResizer.paper(8, padding_mode=mode).double()
    x = torch.rand(1, 3, 12, 9, dtype=torch.float64)
    compiled = torch.compile(resizer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), resizer(x))
