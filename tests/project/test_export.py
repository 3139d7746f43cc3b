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

from resizenet import DtypeError, FixedResizer, LaplacianResizer, LinearResizer, Resizer
from resizenet.functional import resize, resize_matrix
from resizenet.models import BasicBlock, ResNet
from resizenet.transforms import BatchResize

SIZE = (31, 37)


def trained(resizer: LinearResizer) -> LinearResizer:
    """The resizer with weights that are not zero."""
    nn.init.normal_(resizer.conv.weight, 0, 0.1)
    return resizer


# enlarging and shrinking, across the factor of 2, beyond which the learned resizer antialiases its features
DYNAMIC = {"x": {0: Dim("batch", max=64), 2: Dim("height", min=8, max=512), 3: Dim("width", min=8, max=512)}}
TWICE = (2, 3, 62, 74)  # where the fused LinearResizer is one convolution in eager mode
OTHER_SIZES = [(1, 3, 20, 300), TWICE, (3, 3, 63, 75), (5, 3, 91, 64), (1, 3, 300, 20), (2, 3, 31, 37)]
RESIZERS = {
    "fixed": lambda: FixedResizer(SIZE),
    "linear": lambda: LinearResizer(SIZE),
    "fused linear": lambda: trained(LinearResizer(SIZE)).fuse(),
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


@pytest.mark.parametrize(
    ("name", "strict"), [("learned", True), ("learned", False), ("fused", False), ("fused linear", False)]
)
def test_a_graph_for_one_side_of_the_factor_of_two_has_one_resize(name: str, strict: bool) -> None:
    original = module(name)
    below = {"x": {2: Dim("height", min=33, max=62), 3: Dim("width", min=39, max=74)}}
    whole = {"x": {2: Dim("height", min=8, max=512), 3: Dim("width", min=8, max=512)}}
    selections = []
    for dynamic in (below, whole):
        exported = torch.export.export(original, (example(),), dynamic_shapes=dynamic, strict=strict)
        selections.append(sum(node.target is torch.ops.aten.where.self for node in exported.graph.nodes))
        for size in [(40, 50), TWICE[2:]]:
            x = torch.rand(2, 3, *size)
            torch.testing.assert_close(exported.module()(x), original(x), rtol=0, atol=1e-5)
    assert selections == ([0, 0] if name == "fused linear" else [0, 1])


@pytest.mark.parametrize("name", ["fixed", "linear", "laplacian", "learned", "fused"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_another_dtype_than_the_exported_one_raises(name: str, dtype: torch.dtype) -> None:
    exported = torch.export.export(module(name), (example(),)).module()
    with pytest.raises((RuntimeError, NotImplementedError), match=r"dtype mismatch|not implemented for|Input type"):
        exported((255 * example()).to(dtype))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("fixed", torch.uint8),
        ("fixed", torch.bfloat16),
        ("laplacian", torch.uint8),
        ("linear", torch.uint8),
        ("learned", torch.uint8),
        ("learned", torch.float16),
    ],
    ids=str,
)
def test_a_graph_exported_for_a_dtype_computes_what_eager_mode_does_or_raises(name: str, dtype: torch.dtype) -> None:
    original, x = module(name), (255 * example()).to(dtype)
    original = original if dtype == torch.uint8 else original.to(dtype)
    if dtype == torch.uint8 and name != "fixed":
        with pytest.raises(DtypeError, match=r"expected a floating point image, got torch\.uint8"):
            torch.export.export(original, (x,), dynamic_shapes=DYNAMIC, strict=False)
        return
    exported = torch.export.export(original, (x,), dynamic_shapes=DYNAMIC).module()
    for shape in OTHER_SIZES:
        x = (255 * torch.rand(shape)).to(dtype)
        found, expected = exported(x), original(x)
        assert found.dtype == expected.dtype == dtype
        # the same kernels, but for sums in another order in half precision
        torch.testing.assert_close(found, expected, rtol=0.02 if dtype != torch.uint8 else 0, atol=0)


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
