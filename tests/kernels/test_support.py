"""When the kernels are used, and why not."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from resizenet import ArgumentError, Resizer
from resizenet.kernels import TritonHalfResizer, _support


@dataclass
class Image:
    """The attributes that are checked of an image, on a GPU that is not here."""

    shape: tuple[int, ...] = (2, 3, 14, 22)
    dtype: torch.dtype = torch.bfloat16
    device: torch.device = field(default_factory=lambda: torch.device("cuda", 0))
    requires_grad: bool = False


def assert_reason(reason: str | None, expected: str | None) -> None:
    assert reason is None if expected is None else expected in reason


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"channels": 32, "out_channels": 8, "in_channels": 8, "negative_slope": 1.0}, None),
        ({"channels": 24}, "expected channels=16 or 32, got 24"),
        ({"in_channels": 9}, "at most 8 channels, got 9 -> 9"),
        ({"in_channels": 1, "out_channels": 9}, "at most 8 channels, got 1 -> 9"),
        ({"interpolation": "bicubic"}, "got 'bicubic'"),
        ({"negative_slope": 1.5}, "at most 1, got 1.5"),
        ({"norm": "group"}, "expected norm='batch' or 'none'"),
    ],
)
def test_which_networks_are_supported(options: dict[str, Any], expected: str | None) -> None:
    resizer = Resizer(11, **options)
    folded = resizer.fuse()
    parts = {name: getattr(folded, name) for name in ("head", "blocks", "merge", "skip", "interpolation")}
    assert_reason(_support.why_unsupported_network(**parts, tail=resizer.tail), expected)


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize(
    ("image", "size", "expected"),
    [
        (Image(), (7, 11), None),
        (Image(device=torch.device("cpu")), (7, 11), "got cpu"),
        (Image(dtype=torch.float32), (7, 11), "autocast to one of them, got torch.float32"),
        (Image(dtype=torch.float16), (7, 11), "dtype of the weights, torch.bfloat16, got torch.float16"),
        (Image((2, 3, 14, 23)), (7, 11), "exactly 2, got (14, 23) -> (7, 11)"),
        (Image((0, 3, 14, 22)), (7, 11), "at least one image"),
        (Image((1, 3, 16384, 8192)), (8192, 4096), "32-bit offsets"),
        (Image(requires_grad=True), (7, 11), "needs no gradient"),
    ],
)
def test_which_calls_are_supported(image: Image, size: tuple[int, int], expected: str | None) -> None:
    assert_reason(_support.why_unsupported_call(image, size, torch.bfloat16), expected)


def test_without_triton_nothing_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_support, "AVAILABLE", False)
    assert _support.why_unsupported_call(Image(), (7, 11), torch.bfloat16) == "triton is not installed"


@pytest.mark.parametrize(
    ("image", "autocast", "dtype"),
    [
        (torch.float32, torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.bfloat16, torch.bfloat16),
        (torch.float64, torch.bfloat16, torch.float64),
        (torch.float32, None, torch.float32),
    ],
)
def test_the_computing_dtype_is_that_of_torch(
    image: torch.dtype, autocast: torch.dtype | None, dtype: torch.dtype
) -> None:
    x = torch.zeros(1, 3, 8, 8, dtype=image)
    with torch.autocast("cpu", autocast, enabled=autocast is not None):
        assert _support.computing_dtype(x) == dtype
        assert nn.functional.conv2d(x, torch.zeros(1, 3, 3, 3, dtype=image)).dtype == dtype


@pytest.mark.skipif(not hasattr(torch.compiler, "is_exporting"), reason="torch 2.6 does not say that it exports")
@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_copy_has_no_kernels(monkeypatch: pytest.MonkeyPatch, strict: bool) -> None:
    pytest.importorskip("triton", reason="the kernels are optional, and so is triton")
    monkeypatch.setattr(_support, "why_unsupported_device", lambda device: None)
    monkeypatch.setattr(_support, "_HALF", (torch.float32,))
    fused, x = Resizer((7, 11)).fuse(kernels="auto"), torch.rand(2, 3, 14, 22)
    assert fused.half_resizer.why_unsupported(x, (7, 11)) is None
    exported = torch.export.export(fused, (x,), strict=strict)
    assert not [node for node in exported.graph.nodes if "resizenet" in str(node.target)]


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"channels": 32}, "got 32 and 3"),
        ({"in_channels": 4}, "got 16 and 4"),
        ({"negative_slope": 2.0}, "at most 1, got 2.0"),
    ],
)
def test_which_heads_are_supported_in_training(options: dict[str, Any], expected: str | None) -> None:
    head = Resizer(11, **options).bfloat16().head
    assert_reason(_support.why_unsupported_training(Image(), (7, 11), head), expected)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "got cpu"),
        ({"norm": "group"}, "expected a BatchNorm2d"),
        ({"interpolation": "bicubic"}, "expected interpolation='bilinear'"),
    ],
)
def test_training_kernels_that_are_demanded_raise_and_auto_does_without(options: dict[str, Any], reason: str) -> None:
    x = torch.rand(2, 3, 8, 8)
    with pytest.raises(ArgumentError, match=f"kernels='always' does not support this call: .*{reason}"):
        Resizer(4, kernels="always", **options)(x)
    assert Resizer(4, kernels="auto", **options)(x).shape == (2, 3, 4, 4)


def test_evaluation_does_not_use_the_training_kernels() -> None:
    x = torch.rand(2, 3, 8, 8)
    resizer, plain = Resizer.paper(4, kernels="always").eval(), Resizer.paper(4).eval()
    plain.load_state_dict(resizer.state_dict())
    torch.testing.assert_close(resizer(x), plain(x), rtol=0, atol=0)


def test_triton_is_imported_only_when_a_kernel_is_used() -> None:
    probe = "import sys; from resizenet import kernels; print([name for name in sys.modules if 'triton' in name])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "resizenet.kernels.triton" not in done.stdout


def test_the_module_of_kernels_copies_and_pickles(half_resizer: Callable[[Resizer], TritonHalfResizer]) -> None:
    module = half_resizer(Resizer((7, 11), channels=32).eval())
    copied = pickle.loads(pickle.dumps(copy.deepcopy(module)))
    assert copied.state_dict().keys() == {*dict(module.named_buffers())}
    torch.testing.assert_close(copied.state_dict(), module.state_dict(), rtol=0, atol=0)
    assert all(buffer.is_contiguous() and not buffer.requires_grad for buffer in module.buffers())  # as kernels expect
