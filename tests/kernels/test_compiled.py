"""What the kernels compile to for GPUs that are not here: registers, shared memory, spills, matrix instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from resizenet import Resizer, kernels

MATRIX_INSTRUCTION = {80: "HMMA", 90: "HGMMA", 100: "UTCHMMA"}
SHARED = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}  # bytes that a program may have
REGISTERS = 65536 // 256  # per thread, if an SM runs one program of 8 warps
triton = pytest.importorskip("triton", reason="the kernels are optional, and so is triton")
OLD_TRITON = tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7)
# Bytes, measured with triton 3.6 and 3.9: the weight gradients do not quite fit the registers of sm_80.
SPILLED_BACKWARD = {80: 560 if OLD_TRITON else 496, 90: 0, 100: 0}
SPILLED_BACKWARD_VARIANT = {80: 616 if OLD_TRITON else 528, 90: 0, 100: 0}  # the most of any, with 2 channels

capabilities = pytest.mark.parametrize("capability", MATRIX_INSTRUCTION)
HalfResizer = Callable[[Resizer], kernels.TritonHalfResizer]


def images(in_channels: int, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
    return torch.zeros(2, in_channels, 64, 96, dtype=dtype).contiguous(memory_format=layout)


def infer(half_resizer: HalfResizer, x: Tensor, channels: int) -> None:
    resizer = Resizer((32, 48), channels=channels, in_channels=x.shape[1]).eval()
    half_resizer(resizer).to(x.dtype)(x)


def train(x: Tensor) -> None:
    head = Resizer((32, 48), in_channels=x.shape[1]).head.to(x.dtype)
    results = kernels.head_and_moments(x, head)
    torch.autograd.grad(results, list(head.parameters()), [torch.zeros_like(result) for result in results])


@capabilities
def test_the_inference_kernels_fit_the_chip(compiled: Any, half_resizer: HalfResizer, capability: int) -> None:
    x = images(3, torch.bfloat16, torch.contiguous_format)
    found = compiled(lambda: infer(half_resizer, x, 16), capability)
    assert {name: len(variants) for name, variants in found.items()} == {"_head_kernel": 1, "_conv_kernel": 3}
    for kernel in (kernel for variants in found.values() for kernel in variants):
        assert kernel.stack == 0
        assert kernel.registers <= REGISTERS // 2  # two programs at a time
        assert kernel.shared <= SHARED[capability] // 2
        assert MATRIX_INSTRUCTION[capability] in kernel.code


@capabilities
def test_the_training_kernels_fit_the_chip(compiled: Any, capability: int) -> None:
    found = compiled(lambda: train(images(3, torch.bfloat16, torch.contiguous_format)), capability)
    (forward,), (backward,) = found["_moments_kernel"], found["_backward_kernel"]
    assert forward.stack == 0
    assert forward.registers <= REGISTERS // 2
    assert forward.shared <= SHARED[capability] // 2
    assert MATRIX_INSTRUCTION[capability] in forward.code
    assert backward.stack <= SPILLED_BACKWARD[capability]
    assert backward.registers < REGISTERS
    assert backward.shared <= SHARED[capability]


@pytest.mark.slow
@capabilities
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_every_variant_fits_the_chip(
    compiled: Any, half_resizer: HalfResizer, capability: int, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    for channels, in_channels in [(16, 1), (16, 4), (32, 3), (32, 8)]:
        x = images(in_channels, dtype, layout)
        found = compiled(lambda: infer(half_resizer, x, channels), capability)  # noqa: B023
        for kernel in (kernel for variants in found.values() for kernel in variants):
            assert kernel.stack == 0
            assert kernel.shared <= SHARED[capability]
    for in_channels in (1, 2, 3):
        x = images(in_channels, dtype, layout)
        found = compiled(lambda: train(x), capability)  # noqa: B023
        assert found["_moments_kernel"][0].stack == 0
        assert found["_backward_kernel"][0].stack <= SPILLED_BACKWARD_VARIANT[capability]
