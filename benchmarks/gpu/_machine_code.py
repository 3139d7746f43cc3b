"""What Triton's kernels compile to for a GPU that need not be here, read from the machine code."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
_LOAD = re.compile(r"\b(LDG|LDGSTS)\.E[.\w]*")
_WIDTH = re.compile(r"\.(U8|S8|U16|S16|64|128)\b")


@dataclass(frozen=True)
class MachineCode:
    """A compiled kernel.

    Attributes:
        kernel: name of the function in Triton.
        constants: the values of its constants.
        registers: of a thread.
        stack: bytes of a thread in local memory, which hold the registers that are spilled.
        shared: bytes of shared memory of a program.
        code: the disassembly.
    """

    kernel: str
    constants: dict[str, Any]
    registers: int
    stack: int
    shared: int
    code: str

    @property
    def barriers(self) -> int:
        """The instructions at which the warps of a program wait for each other, each counted once."""
        return len(re.findall(r"\bBAR\.", self.code))

    @property
    def instructions(self) -> int:
        """How many there are, each counted once, also if it is in a loop."""
        return len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?!NOP\b)", self.code, re.MULTILINE))

    @property
    def loads(self) -> dict[str, int]:
        """The instructions that load from global memory by the bits that a thread loads, each counted once."""
        widths: Counter[int] = Counter()
        for instruction in _LOAD.finditer(self.code):
            width = _WIDTH.search(instruction[0])
            widths[int(width[1].lstrip("US")) if width else 32] += 1
        return {str(width): widths[width] for width in sorted(widths, reverse=True)}


class _CompileOnlyDriver:
    """A driver of Triton for a GPU that is not here: it compiles and cannot launch."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return self.capability  # Triton keeps compiled kernels by device

    def get_current_stream(self, device: int) -> int:
        return 0


@contextmanager
def compile_only(capability: int) -> Iterator[list[MachineCode]]:
    """Compile every kernel that is launched, for compute capability ``capability`` / 10, and launch none.

    The list has a kernel for every launch with other constants, and is complete at the end of the context.
    """
    launch = JITFunction.run
    found: dict[str, tuple[dict[str, Any], Any]] = {}
    compiled: list[MachineCode] = []

    def run(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        kernel = launch(self, *args, grid=grid, warmup=True, **options)
        found.setdefault(kernel.hash, ({name: options[name] for name in options if name in self.arg_names}, kernel))

    with tempfile.TemporaryDirectory() as folder:
        cache = mock.patch.dict(os.environ, TRITON_CACHE_DIR=folder)
        with (
            cache,
            mock.patch.object(driver, "_active", _CompileOnlyDriver(capability)),
            mock.patch.object(JITFunction, "run", run),
        ):
            yield compiled
        compiled += [_read(kernel, constants, Path(folder) / "kernel.cubin") for constants, kernel in found.values()]


@contextmanager
def recorded() -> Iterator[list[Any]]:
    """Collect what Triton compiled for every launch."""
    launch = JITFunction.run
    found: list[Any] = []

    def run(self: Any, *args: Any, **options: Any) -> Any:
        found.append(launch(self, *args, **options))
        return found[-1]

    with mock.patch.object(JITFunction, "run", run):
        yield found


def _read(kernel: Any, constants: dict[str, Any], binary: Path) -> MachineCode:
    binary.write_bytes(kernel.asm["cubin"])
    usage, code = (
        subprocess.run([_TOOLS / tool, flag, binary], capture_output=True, text=True, check=True).stdout
        for tool, flag in (("cuobjdump", "-res-usage"), ("nvdisasm", "-c"))
    )
    registers, stack = (int(re.search(rf"{name}:(\d+)", usage)[1]) for name in ("REG", "STACK"))  # type: ignore[index]
    return MachineCode(kernel.metadata.name, constants, registers, stack, kernel.metadata.shared, code)
