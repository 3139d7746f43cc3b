"""Runs ``kernels_numerics.py`` in a new process: in Triton's interpreter, and on a GPU if there is one."""

from collections.abc import Callable

import pytest

pytest.importorskip("triton", reason="the kernels are optional, and so is triton")


def test_interpreted_kernels_agree_with_the_reference(passed: Callable[..., int]) -> None:
    assert passed("kernels_numerics.py", "not slow", interpret=True) >= 20


@pytest.mark.slow
def test_interpreted_kernels_agree_with_the_reference_at_every_size(passed: Callable[..., int]) -> None:
    assert passed("kernels_numerics.py", "slow", interpret=True) >= 80


@pytest.mark.cuda
def test_compiled_kernels_agree_with_the_reference(passed: Callable[..., int]) -> None:
    assert passed("kernels_numerics.py", "slow or not slow", interpret=False) >= 60
