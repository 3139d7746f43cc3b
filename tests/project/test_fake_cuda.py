"""What a GPU would refuse or compile differently, tested without one on fake CUDA tensors.

Fake tensors have a device, a dtype and a memory format, but no values. They raise where two devices meet, and they take
the code paths of CUDA. Code that reads values cannot run on them (``adapt_to_resolution``, the checks of boxes and of
checkpoints), and neither can a backward pass. Of the Triton kernels only the shapes of the results are tested.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms import v2

import resizenet as rn
from contract import BATCH_CROP, EVAL_TRANSFORMS, MODULES, POLICIES, RESIZERS, Case, each, small_resnet
from resizenet import functional
from resizenet.models import FeatureExtractor

CUDA = torch.device("cuda", 0)
FAMILIES = ["preact_resnet20", "resnet9", "resnext29_32x4d", "se_resnet20", "wrn_16_4"]

layouts = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
half = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)


class _Fake(FakeTensorMode):
    def __deepcopy__(self, memo: dict[int, Any]) -> _Fake:
        return self  # the copy of a tensor belongs to the same mode


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> _Fake:
    """A mode in which no tensor has values. Take modules that were made outside it to CUDA by ``on_cuda``."""
    # without a GPU autocast would switch itself off
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    return _Fake()


def on_cuda(module: nn.Module) -> nn.Module:
    """The module with fake CUDA tensors in place of all that ``nn.Module.to`` moves."""
    for part in module.modules():
        for name, tensor in part._parameters.items():
            if tensor is not None:
                part._parameters[name] = nn.Parameter(_fake_copy(tensor), requires_grad=tensor.requires_grad)
        part._buffers = {name: None if tensor is None else _fake_copy(tensor) for name, tensor in part._buffers.items()}
    return module


def _fake_copy(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=CUDA)


def place(tensor: Tensor) -> tuple[torch.device, torch.dtype]:
    return tensor.device, tensor.dtype


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", functional.INTERPOLATIONS)
@layouts
def test_resize(fake: _Fake, interpolation: str, antialias: bool, layout: torch.memory_format) -> None:
    for dtype, size in itertools.product([torch.uint8, torch.float16, torch.float32, torch.float64], [(7, 11), (2, 1)]):
        with fake:
            x = torch.zeros(2, 3, 37, 19, dtype=dtype, device=CUDA).contiguous(memory_format=layout)
            out = functional.resize(x, size, interpolation=interpolation, antialias=antialias)
        assert place(out) == (CUDA, dtype)
        assert out.shape == (2, 3, *size)
        assert out.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("interpolation", functional.INTERPOLATIONS)
@pytest.mark.parametrize("where", ["cpu", "cuda"])
@layouts
def test_crop_resize_without_a_check_of_the_boxes(
    fake: _Fake, monkeypatch: pytest.MonkeyPatch, where: str, interpolation: str, layout: torch.memory_format
) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    normalized: dict[str, Any] = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2), "dtype": torch.float16}
    for options in ({}, normalized):
        with fake:
            x = torch.zeros(2, 3, 13, 19, dtype=torch.uint8, device=CUDA).contiguous(memory_format=layout)
            boxes = torch.zeros(2, 4, dtype=torch.int64, device=where)
            flip = torch.zeros(2, dtype=torch.bool, device=where)
            out = functional.crop_resize(x, boxes, (7, 11), flip=flip, interpolation=interpolation, **options)
        assert place(out) == (CUDA, options.get("dtype", torch.uint8))
        assert out.is_contiguous(memory_format=layout)


@half
def test_filters(fake: _Fake, dtype: torch.dtype) -> None:
    with fake:
        weight = torch.zeros(4, 3, 7, 7, dtype=dtype, device=CUDA)
        made = [
            functional.fold_upscale(weight),
            *(functional.resize_filter(weight, 5, method=method) for method in ("center", "area", "pinv")),
        ]
        assert functional.resize_matrix(5, 3, device=CUDA).device == CUDA
    assert [(place(filters), filters.shape) for filters in made] == [((CUDA, dtype), (4, 3, 5, 5))] * 4


@half
@pytest.mark.parametrize("convention", ["timm", "torchvision", "dinov2"])
def test_positions(fake: _Fake, dtype: torch.dtype, convention: str) -> None:
    with fake:
        embeddings = torch.zeros(1, 1 + 5 * 7, 4, dtype=dtype, device=CUDA)
        resized = functional.resize_positions(embeddings, (5, 7), (3, 11), convention=convention, num_prefix_tokens=1)
    assert (place(resized), resized.shape) == ((CUDA, dtype), (1, 34, 4))


@each(*MODULES)
@pytest.mark.parametrize("training", [True, False])
def test_modules(fake: _Fake, case: Case, training: bool) -> None:
    module = case.make().train(training)
    with fake:
        x = torch.zeros(2, *case.image, device=CUDA)
        assert place(on_cuda(module)(x)) == (CUDA, torch.float32)
        with torch.autocast("cuda", torch.float16):
            assert place(module(x)) == (CUDA, torch.float16)


# not bfloat16: without a GPU, torch assumes one that has no bfloat16 convolutions
@each(*RESIZERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@layouts
def test_resizers_keep_the_memory_format(
    fake: _Fake, case: Case, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    resizer = case.make().to(dtype)
    with fake:
        x = torch.zeros(2, *case.image, dtype=dtype, device=CUDA).contiguous(memory_format=layout)
        for size in (None, (8, 5)):
            out = on_cuda(resizer)(x, size)
            assert place(out) == (CUDA, dtype)
            assert out.is_contiguous(memory_format=layout)


@half
@layouts
@pytest.mark.parametrize("channels", [16, 32])
@pytest.mark.usefixtures("ampere")
def test_kernels_of_a_fused_resizer(
    fake: _Fake, channels: int, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    fused = rn.Resizer((7, 11), channels=channels).to(dtype).fuse(kernels="always")
    with fake:
        x = torch.zeros(2, 3, 14, 22, dtype=dtype, device=CUDA).contiguous(memory_format=layout)
        out = on_cuda(fused)(x)
    assert (place(out), out.shape) == ((CUDA, dtype), (2, 3, 7, 11))
    assert out.is_contiguous(memory_format=layout)


class _Uploads(TorchDispatchMode):
    """Counts tensors that are made on the CPU, which a step would then copy to the GPU and wait for."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.count += any(tensor.device.type == "cpu" for tensor in tree_leaves(result) if isinstance(tensor, Tensor))
        return result


@half
@pytest.mark.parametrize("options", [{"kernels": "always"}, {"checkpoint": True}], ids=str)
@pytest.mark.usefixtures("ampere")
def test_a_training_step_copies_nothing_to_the_gpu(fake: _Fake, options: dict[str, Any], dtype: torch.dtype) -> None:
    resizer = rn.Resizer.paper((7, 11), **options).to(dtype)
    with fake:
        x = torch.zeros(2, 3, 14, 22, dtype=dtype, device=CUDA)
        with _Uploads() as uploads:
            out = on_cuda(resizer)(x)
    assert (place(out), out.shape) == ((CUDA, dtype), (2, 3, 7, 11))
    assert uploads.count == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_networks(fake: _Fake, name: str) -> None:
    model = rn.create_model(name)
    with fake:
        x = torch.zeros(2, 3, 32, 48, device=CUDA)
        last, maps = on_cuda(model).forward_intermediates(x)
        assert {tensor.device for tensor in (model(x), last, *maps, *FeatureExtractor(model)(x))} == {CUDA}


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # by deepcopy, of a buffer
@pytest.mark.parametrize("channel_weights", ["sum", "cycle", "zero"])
@pytest.mark.parametrize("stem", ["cifar area", "cifar fresh", "fold", "no_pool"])
def test_adapt(fake: _Fake, stem: str, channel_weights: str) -> None:
    stem, _, method = stem.partition(" ")
    options: dict[str, Any] = {"in_channels": 5, "num_classes": 7, "channel_weights": channel_weights}
    model = small_resnet("imagenet")
    with fake:
        adapted = rn.adapt(on_cuda(model), 32, stem=stem, stem_weights=method or "area", **options)
        assert place(adapted(torch.zeros(2, 5, 32, 32, device=CUDA))) == (CUDA, torch.float32)
    assert {tensor.device for tensor in itertools.chain(adapted.parameters(), adapted.buffers())} == {CUDA}


def test_the_report_does_not_depend_on_the_device(fake: _Fake) -> None:
    model = rn.create_model("resnet20")
    expected = rn.report(model, 32)
    with fake:
        assert rn.report(on_cuda(model), 32) == expected


TRANSFORMS = [*EVAL_TRANSFORMS, *(Case(f"{name} train", policy.train) for name, policy in POLICIES.items())]


@each(*[case for case in TRANSFORMS if case is not BATCH_CROP])  # it draws and checks boxes, which needs values
def test_transforms_of_images(fake: _Fake, case: Case) -> None:
    """The random parameters, which need values, are drawn for an image on the CPU."""
    transform = case.make()
    twin = torch.zeros(case.image)
    with fake:
        x = torch.zeros(case.image, device=CUDA)
    for step in transform.transforms if isinstance(transform, v2.Compose) else [transform]:
        if not isinstance(step, v2.Transform):  # a transform of batches
            with fake:
                x = step(x[None])[0]
            continue
        params = step.make_params([twin])
        twin = step.transform(twin, params)
        with fake:
            x = step.transform(x, params)
    assert place(x) == (CUDA, torch.float32)
