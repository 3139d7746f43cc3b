"""Resizers and wrapped models outside Python: torch.export with dynamic sizes, ONNX, safetensors."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch.export import Dim
from torch.nn import functional as F

from resizenet import FixedResizer, LaplacianResizer, LinearResizer, Resizer
from resizenet.functional import resize, resize_matrix
from resizenet.models import BasicBlock, ResNet
from resizenet.transforms import BatchResize

SIZE = (31, 37)
# factors between 1 and 2, where the learned resizer does not antialias its features
DYNAMIC = {"x": {0: Dim("batch", max=64), 2: Dim("height", min=33, max=61), 3: Dim("width", min=39, max=73)}}
OTHER_SIZES = [(1, 3, 33, 73), (5, 3, 47, 41), (3, 3, 61, 59)]
RESIZERS = {
    "fixed": lambda: FixedResizer(SIZE),
    "linear": lambda: LinearResizer(SIZE),
    "laplacian": lambda: LaplacianResizer(SIZE),
    "learned": lambda: Resizer(SIZE, zero_init=False),
    "group norm": lambda: Resizer(SIZE, norm="group", zero_init=False),
    "fused": lambda: Resizer(SIZE, norm="batch", zero_init=False).fuse(),
    "fused group norm": lambda: Resizer(SIZE, norm="group", zero_init=False).fuse(),
    "wrapped": lambda: Resizer(SIZE, zero_init=False).wrap(ResNet(BasicBlock, (1, 1), (4, 8))),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(isinstance.treespec|LeafSpec|copyreg|deprecated).*:FutureWarning",  # from torch 2.15's exporter, 2026-11
    "ignore:.*:DeprecationWarning",  # from onnxscript and torch, 2026-11
)


def module(name: str) -> nn.Module:
    return RESIZERS[name]().eval()


def example() -> Tensor:
    return torch.rand(2, 3, 45, 51)


@pytest.mark.parametrize("name", RESIZERS)
def test_an_exported_module_takes_any_batch_height_and_width(name: str) -> None:
    original = module(name)
    exported = torch.export.export(original, (example(),), dynamic_shapes=DYNAMIC).module()
    for shape in OTHER_SIZES:
        x = torch.rand(shape)
        torch.testing.assert_close(exported(x), original(x), rtol=0, atol=1e-5)  # float32 in another order


class Enlarge(nn.Module):
    """Enlarges by two, as decoders do: the size is computed from the shape of a tensor."""

    def __init__(self, call: Callable[[Tensor, tuple[int, int]], Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x, (2 * x.shape[-2], 2 * x.shape[-1]))


def by_matrices(x: Tensor, size: tuple[int, int]) -> Tensor:
    rows, columns = (resize_matrix(before, after) for before, after in zip(x.shape[-2:], size, strict=True))
    return rows @ x @ columns.T


SIZED_BY_A_TENSOR = {
    "resize": resize,
    "module": FixedResizer(8),
    "batch transform": BatchResize(8),
    "matrices": by_matrices,
}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", SIZED_BY_A_TENSOR)
def test_a_size_computed_from_a_shape_stays_dynamic(name: str, strict: bool) -> None:
    original = Enlarge(SIZED_BY_A_TENSOR[name])
    exported = torch.export.export(original, (example(),), dynamic_shapes=DYNAMIC, strict=strict).module()
    for shape in OTHER_SIZES:
        x = torch.rand(shape)
        expected = F.interpolate(x, scale_factor=2, mode="bilinear", antialias=True)
        torch.testing.assert_close(exported(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["resize", "module", "batch transform"])
def test_changing_sizes_are_compiled_at_most_twice(name: str) -> None:
    torch.compiler.reset()
    counter = CompileCounter()  # runs the traced graphs in eager mode
    compiled = torch.compile(SIZED_BY_A_TENSOR[name], backend=counter)
    x = torch.rand(2, 3, 30, 30)
    for size in range(20, 40, 3):
        assert compiled(x, (size, size + 1)).shape[-2:] == (size, size + 1)
    assert counter.frame_count <= 2  # the first size, and any size


def check_onnx(original: nn.Module, x: Tensor, dynamic: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    """Compare ONNX Runtime with the module on inputs of these shapes; the export sees ``x`` only."""
    import onnxruntime

    file = io.BytesIO()
    torch.onnx.export(original, (x,), dynamo=True, verbose=False, dynamic_shapes=dynamic).save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for shape in shapes:
        x = torch.rand(shape)
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(found), original(x), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", RESIZERS)
def test_onnxruntime_agrees_on_three_sizes(name: str) -> None:
    check_onnx(module(name), example(), DYNAMIC, OTHER_SIZES)


@pytest.mark.slow
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_onnxruntime_agrees_far_down_and_up(interpolation: str, antialias: bool) -> None:
    original = FixedResizer((32, 40), interpolation=interpolation, antialias=antialias).eval()
    sizes = {"x": {0: Dim("batch", max=64), 2: Dim("height", min=2, max=2000), 3: Dim("width", min=2, max=2000)}}
    check_onnx(original, torch.rand(2, 3, 300, 200), sizes, [(1, 3, 300, 200), (3, 3, 20, 27), (1, 3, 501, 33)])


def test_safetensors_round_trip(tmp_path: Path) -> None:
    wrapped, other = module("wrapped"), module("wrapped")
    safetensors.torch.save_model(wrapped, str(tmp_path / "model.safetensors"))
    safetensors.torch.load_model(other, str(tmp_path / "model.safetensors"))
    torch.testing.assert_close(other.state_dict(), wrapped.state_dict(), rtol=0, atol=0)
