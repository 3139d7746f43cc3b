"""Fixtures of the kernel tests: compiling for a GPU that is not here, and bfloat16 as GPUs have it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(autouse=True)
def _bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the interpreter, bfloat16 as GPUs have it: it stores the bits in uint16, multiplies those, and truncates where they round.

    See github.com/triton-lang/triton/issues/11584.
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


class Absent:
    """A driver of Triton for a GPU that is not here: enough to compile, nothing to launch."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return self.capability  # Triton keeps what it has compiled by device

    def get_current_stream(self, device: int) -> int:
        return 0


@dataclass(frozen=True)
class Compiled:
    """What ptxas made of a kernel: registers and bytes of stack (spills) of a thread, bytes of shared memory of a program."""

    registers: int
    stack: int
    shared: int
    code: str

    @classmethod
    def of(cls, kernel: Any, binary: Path) -> Compiled:
        import triton

        tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
        binary.write_bytes(kernel.asm["cubin"])
        usage, code = (
            subprocess.run([tools / tool, flag, binary], capture_output=True, text=True, check=True).stdout
            for tool, flag in (("cuobjdump", "-res-usage"), ("nvdisasm", "-c"))
        )
        registers, stack = (int(re.search(rf"{name}:(\d+)", usage)[1]) for name in ("REG", "STACK"))
        return cls(registers, stack, kernel.metadata.shared, code)


@pytest.fixture
def compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Callable[[], object], int], dict[str, list[Compiled]]]:
    """Every kernel that a function would launch on a GPU of some compute capability, by name: compiled for it, afresh, and not run."""
    pytest.importorskip("triton", reason="the kernels are optional, and so is triton")
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    launch = JITFunction.run
    found: dict[str, Any] = {}

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        kernel = launch(self, *args, grid=grid, warmup=True, **options)
        found[kernel.hash] = kernel

    def collect(compute: Callable[[], object], capability: int) -> dict[str, list[Compiled]]:
        found.clear()
        monkeypatch.setattr(driver, "_active", Absent(capability))
        compute()
        results: dict[str, list[Compiled]] = {}
        for kernel in found.values():
            results.setdefault(kernel.metadata.name, []).append(Compiled.of(kernel, tmp_path / "kernel.cubin"))
        for name, kernels_of_name in results.items():
            for one in kernels_of_name:
                usage = f"{one.registers} registers, {one.stack} bytes spilled, {one.shared} of shared memory"
                print(f"sm_{capability} {name}: {usage}")  # noqa: T201
        return results

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(JITFunction, "run", compile_only)
    return collect


@pytest.fixture
def passed() -> Callable[..., int]:
    """How many tests of a file passed in a process of its own: TRITON_INTERPRET must be set before triton is imported."""

    def count(file: str, marks: str, *, interpret: bool) -> int:
        here = Path(__file__).parent
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, str(here / file)]
        environment = {**os.environ, "TRITON_INTERPRET": "1" if interpret else "0"}
        done = subprocess.run(
            command, cwd=here.parents[1], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        summary = done.stdout.splitlines()[-1]
        assert not re.search("skipped|xfailed|xpassed|error", summary), summary
        return int(re.search(r"(\d+) passed", summary)[1])

    return count
