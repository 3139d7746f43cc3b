"""Fixtures of the kernel tests: compiling for a GPU that is not here, and rounding to bfloat16 as GPUs do."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from resizenet import Resizer, kernels

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(autouse=True)
def _bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter stores bfloat16 as uint16, multiplies those, and truncates; GPUs round to nearest.

    Needed until github.com/triton-lang/triton/issues/11584 is fixed.
    """
    if not INTERPRETED:
        return
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    product, cast = InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl

    def create_dot(self: Any, a: Any, b: Any, *rest: Any) -> Any:
        a, b = (cast(self, factor, tl.float32) if factor.dtype.scalar == tl.bfloat16 else factor for factor in (a, b))
        return product(self, a, b, *rest)

    def cast_impl(self: Any, source: Any, dtype: Any) -> Any:
        if (source.dtype.scalar, dtype.scalar) != (tl.float32, tl.bfloat16):
            return cast(self, source, dtype)
        bits = torch.from_numpy(np.ascontiguousarray(source.data)).to(torch.bfloat16).view(torch.uint16)
        return TensorHandle(bits.numpy(), tl.bfloat16)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
    monkeypatch.setattr(InterpreterBuilder, "cast_impl", cast_impl)


@pytest.fixture
def compiled() -> Callable[[Callable[[], object], int], dict[str, list[Any]]]:
    """Compiles every kernel that a function launches, for a compute capability; returns them by name."""
    pytest.importorskip("triton", reason="the kernels are optional, and so is triton")
    from benchmarks.gpu._machine_code import MachineCode, compile_only

    def collect(compute: Callable[[], object], capability: int) -> dict[str, list[MachineCode]]:
        with compile_only(capability) as kernels:
            compute()
        results: dict[str, list[MachineCode]] = {}
        for one in kernels:
            results.setdefault(one.kernel, []).append(one)
            usage = f"{one.registers} registers, {one.stack} bytes spilled, {one.shared} of shared memory"
            print(f"sm_{capability} {one.kernel}: {usage}")  # noqa: T201
        return results

    return collect


@pytest.fixture
def half_resizer() -> Callable[[Resizer], kernels.TritonHalfResizer]:
    """Makes the module of kernels from a resizer in evaluation, by torch's own folding and not by the library's."""

    def folded(layers: nn.Module) -> Iterator[nn.Conv2d]:
        for convolution, norm in itertools.pairwise(layers.children()):
            if isinstance(convolution, nn.Conv2d):
                yield fuse_conv_bn_eval(convolution, norm)

    def make(resizer: Resizer) -> kernels.TritonHalfResizer:
        scale = resizer.norm.weight / (resizer.norm.running_var + resizer.norm.eps).sqrt()
        identity = torch.eye(resizer.in_channels).to(scale)
        return kernels.TritonHalfResizer(
            head=resizer.head,
            scale=scale,
            shift=resizer.norm.bias - resizer.norm.running_mean * scale,
            blocks=[tuple(folded(block)) for block in resizer.blocks],
            merge=next(folded(resizer.merge)),
            tail=resizer.tail,
            skip=identity if isinstance(resizer.skip, nn.Identity) else resizer.skip.weight[:, :, 0, 0],
            antialias=resizer.antialias,
        )

    return make


def _version_of(package: Any) -> tuple[int, ...]:
    return tuple(map(int, package.__version__.split(".")[:2]))


@pytest.fixture
def passed() -> Callable[..., int]:
    """Runs a file's tests in a new process, where TRITON_INTERPRET precedes the import of triton, and counts them."""

    def count(file: str, marks: str, *, interpret: bool) -> int:
        import triton

        old = interpret and _version_of(triton) < (3, 7)
        if old and _version_of(np) >= (2, 3):
            pytest.skip("the interpreter of triton before 3.7 needs numpy before 2.3")
        here = Path(__file__).parent
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, str(here / file)]
        if old:  # github.com/triton-lang/triton/issues/9171: it takes arrays of one element as numbers
            command += ["-W", "ignore:Conversion of an array with ndim > 0 to a scalar:DeprecationWarning"]
        environment = {**os.environ, "TRITON_INTERPRET": "1" if interpret else "0"}
        done = subprocess.run(
            command, cwd=here.parents[1], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        summary = done.stdout.splitlines()[-1]
        assert not re.search("skipped|xfailed|xpassed|error", summary), summary
        return int(re.search(r"(\d+) passed", summary)[1])

    return count
