"""Runs ``kernels_numerics.py`` in a process of its own: under Triton's interpreter, and on a GPU where there is one."""

from collections.abc import Callable

import pytest

pytest.importorskip("triton", reason="the kernels are optional, and so is triton")


def test_the_kernels_compute_what_the_oracle_does(passed: Callable[..., int]) -> None:
    assert passed("kernels_numerics.py", "not slow", interpret=True) >= 20


@pytest.mark.slow
def test_the_kernels_compute_what_the_oracle_does_at_every_size(passed: Callable[..., int]) -> None:
    assert passed("kernels_numerics.py", "slow", interpret=True) >= 80


@pytest.mark.cuda
def test_the_compiled_kernels_compute_what_the_oracle_does(passed: Callable[..., int]) -> None:
    assert passed("kernels_numerics.py", "slow or not slow", interpret=False) >= 60
