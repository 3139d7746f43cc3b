"""CUDA graphs of what the kernels compute; for small batches they save the host's work for the launches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from resizenet import Resizer
from resizenet.kernels import head_and_moments

pytest.importorskip("triton", reason="the kernels are optional, and so is triton")


def replayed(compute: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> tuple[Tensor, ...]:
    """The results for ``x`` of a graph that was captured with other values."""
    static = torch.zeros_like(x)
    compute(static)  # compiles, which a capture does not allow
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = compute(static)
    static.copy_(x)
    graph.replay()
    return results


@pytest.mark.cuda
@torch.no_grad()
def test_a_captured_fused_copy_gives_the_results_of_a_call() -> None:
    fused = Resizer((32, 48)).eval().half().cuda().fuse(kernels="always")
    x = torch.rand(2, 3, 64, 96, dtype=torch.float16, device="cuda")
    (found,) = replayed(lambda x: (fused(x),), x)
    torch.testing.assert_close(found, fused(x), rtol=0, atol=0)


@pytest.mark.cuda
def test_a_captured_training_head_gives_the_results_and_gradients_of_a_call() -> None:
    head = Resizer((32, 48)).head.half().cuda()
    x = torch.rand(2, 3, 64, 96, dtype=torch.float16, device="cuda")

    def compute(x: Tensor) -> tuple[Tensor, ...]:
        results = head_and_moments(x, head)
        gradients = torch.autograd.grad(results, list(head.parameters()), [torch.ones_like(one) for one in results])
        return (*results, *gradients)

    for found, expected in zip(replayed(compute, x), compute(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
