"""When the kernels apply, how their filters are packed, and what they compile to for GPUs that are not here."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
from resizenet import ArgumentError, Resizer, kernels
from resizenet.kernels import _half_resizer, _packing

NETWORK = {"in_channels": 3, "out_channels": 3, "channels": 16, "negative_slope": 0.2, "interpolation": "bilinear"}


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({}, None),
        ({"channels": 32, "out_channels": 8, "in_channels": 8, "negative_slope": 1.0}, None),
        ({"channels": 24}, "expected channels=16 or 32, got 24"),
        ({"in_channels": 9}, "at most 8 channels, got 9 -> 3"),
        ({"interpolation": "bicubic"}, "got 'bicubic'"),
        ({"negative_slope": 1.5}, "at most 1, got 1.5"),
    ],
)
def test_which_networks_the_kernels_compute(change: dict[str, Any], objection: str | None) -> None:
    said = kernels.objection_to_network(**{**NETWORK, **change})
    assert said is None if objection is None else objection in said


@dataclass
class Image:
    """What is asked about an image, for a GPU that is not here."""

    shape: tuple[int, ...] = (2, 3, 14, 22)
    dtype: torch.dtype = torch.bfloat16
    device: torch.device = field(default_factory=lambda: torch.device("cuda", 0))
    requires_grad: bool = False


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize(
    ("image", "objection"),
    [
        (Image(), None),
        (Image(device=torch.device("cpu")), "got one on cpu"),
        (Image(dtype=torch.float32), "autocast to one of them, got torch.float32"),
        (Image(dtype=torch.float16), "dtype of the weights, torch.bfloat16, got torch.float16"),
        (Image((2, 3, 14, 23)), "exactly 2, got (14, 23) -> (7, 11)"),
        (Image((0, 3, 14, 22)), "at least one image"),
        (Image(requires_grad=True), "needs no gradient"),
    ],
)
def test_which_calls_the_kernels_take(image: Image, objection: str | None) -> None:
    said = _half_resizer.objection_to_call(image, (7, 11), torch.zeros(1, dtype=torch.bfloat16))
    assert said is None if objection is None else objection in said


@pytest.mark.usefixtures("ampere")
def test_images_beyond_32_bit_offsets_are_left_to_plain_torch() -> None:
    size = (8192, 4096)
    assert "32-bit" in _half_resizer.objection_to_call(
        Image((1, 3, 16384, 8192)), size, torch.zeros(1, dtype=torch.bfloat16)
    )


def test_without_triton_there_is_an_objection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_half_resizer, "AVAILABLE", False)
    assert _half_resizer.objection_to_call(torch.zeros(1, 3, 4, 4), (2, 2), torch.zeros(1)) == "triton is not installed"


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize(
    ("options", "objection"),
    [
        ({}, None),
        ({"channels": 32}, "got 32 and 3"),
        ({"in_channels": 4}, "got 16 and 4"),
        ({"negative_slope": 2.0}, "at most 1, got 2.0"),
    ],
)
def test_which_heads_the_training_kernels_take(options: dict[str, Any], objection: str | None) -> None:
    said = kernels.objection_to_training(Image(), (7, 11), Resizer(11, **options).bfloat16().head)
    assert said is None if objection is None else objection in said


@pytest.mark.parametrize(
    ("options", "objection"),
    [
        ({}, "got one on cpu"),
        ({"norm": "group"}, "expected a BatchNorm2d"),
        ({"interpolation": "bicubic"}, "expected interpolation='bilinear'"),
    ],
)
def test_forced_training_kernels_say_what_they_miss(options: dict[str, Any], objection: str) -> None:
    x = torch.rand(2, 3, 8, 8)
    with pytest.raises(ArgumentError, match=objection):
        Resizer(4, kernels="always", **options)(x)
    assert Resizer(4, kernels="auto", **options)(x).shape == (2, 3, 4, 4)


def test_in_evaluation_the_training_kernels_are_not_asked_for() -> None:
    x = torch.rand(2, 3, 8, 8)
    resizer = Resizer.paper(4, kernels="always").eval()
    plain = Resizer.paper(4).eval()
    plain.load_state_dict(resizer.state_dict())
    torch.testing.assert_close(resizer(x), plain(x), rtol=0, atol=0)


def agreement(kernel: Callable[[], Tensor], plain: Tensor) -> bool:
    return kernels.agrees({}, "a kernel", kernel, lambda: plain)


def test_a_kernel_agrees_where_it_differs_by_rounding_only() -> None:
    plain = torch.linspace(-2, 2, 9)
    assert agreement(lambda: plain + 0.01, plain)
    with pytest.warns(RuntimeWarning, match="it differs by 0.03 where 0.02 is rounding; plain PyTorch takes its place"):
        assert not agreement(lambda: plain + 0.03, plain)
    assert agreement(lambda: plain.bfloat16() * 1.02, plain.bfloat16())
    levels = torch.tensor([0, 7, 255], dtype=torch.uint8)
    assert agreement(lambda: torch.tensor([0, 8, 254], dtype=torch.uint8), levels)
    with pytest.warns(RuntimeWarning, match="it differs by 2 where 1 is rounding"):
        assert not agreement(lambda: torch.tensor([0, 9, 255], dtype=torch.uint8), levels)


@pytest.mark.filterwarnings("ignore:resizenet. a Triton kernel is not used")
def test_a_kernel_that_gives_no_number_or_another_shape_or_fails_does_not_agree() -> None:
    def failing() -> Tensor:
        raise OSError("no compiler\nat all")

    assert not agreement(lambda: torch.tensor([float("nan"), 1.0]), torch.ones(2))
    assert not agreement(lambda: torch.ones(3), torch.ones(2))
    assert not agreement(lambda: torch.ones(1), torch.ones(2))
    assert not agreement(failing, torch.ones(2))
    with pytest.warns(RuntimeWarning, match="it failed with OSError: no compiler; plain"):
        agreement(failing, torch.ones(2))


def test_a_kernel_is_tried_once_for_each_key_and_not_while_torch_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, known = [], {}

    def kernel() -> Tensor:
        calls.append(1)
        return torch.ones(2)

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not kernels.agrees(known, "a", kernel, lambda: torch.ones(2))
    monkeypatch.undo()
    assert all(kernels.agrees(known, key, kernel, lambda: torch.ones(2)) for key in "aabb")
    assert len(calls) == 2
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert kernels.agrees(known, "a", kernel, lambda: torch.ones(2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32])
def test_a_pattern_has_all_values_and_looks_like_its_model(dtype: torch.dtype) -> None:
    like = torch.zeros(1, 3, 16, 20).to(dtype).contiguous(memory_format=torch.channels_last)
    picture = kernels.pattern(like)
    assert (picture.shape, picture.dtype, picture.stride()) == (like.shape, like.dtype, like.stride())
    top = 1 if dtype.is_floating_point else 255
    assert picture.min() < 0.01 * top
    assert 0.98 * top < picture.max() <= top
    assert 0.4 * top < picture.double().mean() < 0.6 * top


def test_the_package_imports_triton_only_when_a_kernel_is_used() -> None:
    probe = "import sys; from resizenet import kernels; print([name for name in sys.modules if name in %r])"
    with_triton = [f"resizenet.kernels.{name}" for name in ("_tiles", "_head", "_conv", "_moments")]
    done = subprocess.run([sys.executable, "-c", probe % with_triton], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def windows(x: reference.Array, size: int, before: int) -> reference.Array:
    """(I, H, W) -> (blocks, I, size, size): the windows that begin ``before`` pixels above and left of each 2x2 block, zeros outside."""
    padded = np.pad(x, [(0, 0), (before, size), (before, size)])
    blocks = [(y, x_) for y in range(0, x.shape[1], 2) for x_ in range(0, x.shape[2], 2)]
    return np.stack([padded[:, y : y + size, x_ : x_ + size] for y, x_ in blocks])


def by_phase(convolved: reference.Array) -> reference.Array:
    """(O, H, W) -> (blocks, 4, O), the pixels of each 2x2 block in the order of reading."""
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


def network_of(resizer: Resizer) -> kernels.Halving:
    """Of a resizer without norms."""
    channels = resizer.tail.in_channels
    return kernels.Halving(
        head=resizer.head,
        scale=torch.ones(channels),
        shift=torch.zeros(channels),
        blocks=[(block[0], block[3]) for block in resizer.blocks],
        merge=resizer.merge[0],
        tail=resizer.tail,
        skip=resizer.skip,
        antialias=True,
    )


def test_a_network_of_kernels_is_a_module_like_any_other() -> None:
    network = network_of(Resizer((7, 11), norm="none", channels=32))
    copied = pickle.loads(pickle.dumps(copy.deepcopy(network)))
    assert copied.state_dict().keys() == {*dict(network.named_buffers())}
    torch.testing.assert_close(copied.state_dict(), network.state_dict(), rtol=0, atol=0)
    assert all(
        buffer.is_contiguous() and not buffer.requires_grad for buffer in network.buffers()
    )  # the kernels read them as they lie


def images(in_channels: int, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
    return torch.zeros(2, in_channels, 64, 96, dtype=dtype).contiguous(memory_format=layout)


def inference(channels: int, in_channels: int, dtype: torch.dtype, layout: torch.memory_format) -> None:
    resizer = Resizer((32, 48), norm="none", channels=channels, in_channels=in_channels)
    network_of(resizer).to(dtype)(images(in_channels, dtype, layout))


def training(in_channels: int, dtype: torch.dtype, layout: torch.memory_format) -> None:
    head: nn.Module = Resizer((32, 48), in_channels=in_channels).head.to(dtype)
    results = kernels.head_and_moments(images(in_channels, dtype, layout), head)
    torch.autograd.grad(results, list(head.parameters()), [torch.zeros_like(result) for result in results])


PRODUCTS = {80: "HMMA", 90: "HGMMA", 100: "UTCHMMA"}  # the matrix instructions of each generation
PROGRAM_SHARED = {
    80: 163 * 1024,
    90: 227 * 1024,
    100: 227 * 1024,
}  # bytes that a program may have; an SM has 1024 more for each that it runs
REGISTERS = 65536 // 256  # of a thread, where an SM runs one program of 8 warps


@pytest.mark.parametrize("capability", PRODUCTS)
def test_the_inference_kernels_fit_the_chip(compiled: Any, capability: int) -> None:
    found = compiled(lambda: inference(16, 3, torch.bfloat16, torch.contiguous_format), capability)
    assert {name: len(kernels_of_name) for name, kernels_of_name in found.items()} == {
        "_head_kernel": 1,
        "_conv_kernel": 3,
    }
    for one in (one for kernels_of_name in found.values() for one in kernels_of_name):
        assert one.stack == 0
        assert one.registers <= REGISTERS // 2  # two programs at a time
        assert one.shared <= PROGRAM_SHARED[capability] // 2
        assert PRODUCTS[capability] in one.code


SPILLED_HEAD = {80: 16, 90: 0, 100: 0}  # bytes, in some variants: the price of two programs on an SM of sm_80
SPILLED_BACKWARD = {80: 512, 90: 0, 100: 0}  # the gradients of the weights do not quite fit the registers of sm_80


@pytest.mark.parametrize("capability", PRODUCTS)
def test_the_training_kernels_fit_the_chip(compiled: Any, capability: int) -> None:
    found = compiled(lambda: training(3, torch.bfloat16, torch.contiguous_format), capability)
    (forward,), (backward,) = found["_moments_kernel"], found["_backward_kernel"]
    assert forward.stack == 0
    assert forward.registers <= REGISTERS // 2
    assert forward.shared <= PROGRAM_SHARED[capability] // 2
    assert backward.stack <= SPILLED_BACKWARD[capability]
    assert backward.registers < REGISTERS
    assert backward.shared <= PROGRAM_SHARED[capability]
    assert PRODUCTS[capability] in forward.code


@pytest.mark.slow
@pytest.mark.parametrize("capability", PRODUCTS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_every_variant_fits_the_chip(
    compiled: Any, capability: int, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    for channels, in_channels in [(16, 1), (16, 4), (32, 3), (32, 8)]:
        found = compiled(lambda: inference(channels, in_channels, dtype, layout), capability)  # noqa: B023
        assert all(
            one.stack <= SPILLED_HEAD[capability] and one.shared <= PROGRAM_SHARED[capability]
            for kernels_of_name in found.values()
            for one in kernels_of_name
        )
    for in_channels in (1, 2, 3):
        found = compiled(lambda: training(in_channels, dtype, layout), capability)  # noqa: B023
        assert found["_moments_kernel"][0].stack == 0
        assert found["_backward_kernel"][0].stack <= SPILLED_BACKWARD[capability]
