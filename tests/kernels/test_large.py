"""Runs ``large_numerics.py`` in a new process: with small batches in Triton's interpreter, with large ones on a GPU."""

from collections.abc import Callable

import pytest

pytest.importorskip("triton", reason="the kernels are optional, and so is triton")


@pytest.mark.slow
def test_interpreted_kernels_agree_with_plain_torch_on_small_batches(passed: Callable[..., int]) -> None:
    assert passed("large_numerics.py", "", interpret=True) == 5


@pytest.mark.cuda
def test_compiled_kernels_agree_with_plain_torch_on_large_batches(passed: Callable[..., int]) -> None:
    assert passed("large_numerics.py", "", interpret=False) == 5
