"""Networks copied, pickled, compiled, exported, in another memory format and in DistributedDataParallel."""

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.export import Dim, export
from torch.nn.parallel import DistributedDataParallel

from resizenet import adapt, models
from resizenet.models import BasicBlock, FeatureExtractor, ResNet, create_model

MANY = {"se_reduction": 4, "stochastic_depth": 0.2, "zero_init": True}
CASES: dict[str, dict[str, Any]] = {
    "basic, option A": {"block": models.BasicBlock, "shortcut": "pad"},
    "bottleneck, blur": {
        "block": models.Bottleneck,
        "groups": 2,
        "bottleneck_ratio": 0.5,
        "downsample": "blur",
        **MANY,
    },
    "pre-activation, option A after": {
        "block": models.PreActBlock,
        "shortcut": "pad_after",
        "stem": "no_pool",
        **MANY,
    },
    "pre-activation bottleneck, dilated": {"block": models.PreActBottleneck, "output_stride": 1, **MANY},
    "wide, large stem": {"block": models.WideBlock, "dropout": 0.3, "stem": "imagenet", **MANY},
    "average": {"block": models.BasicBlock, "downsample": "average"},
    "space to depth": {"block": models.BasicBlock, "stem": "space_to_depth"},
}
# These pad a side that is no multiple: torch cannot prove named sizes there, but infers them.
UNEVEN = {"average", "space to depth", "resnet9", "airnet"}
COMPILED = ["basic, option A", "pre-activation, option A after", "space to depth", "resnet9", "airnet"]
every_case = pytest.mark.parametrize("case", [*CASES, "resnet9", "airnet"])


def build(case: str) -> ResNet:
    torch.manual_seed(0)
    model = (
        create_model(case) if case in ("resnet9", "airnet") else ResNet(depths=(1, 1), widths=(8, 16), **CASES[case])
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return model.eval()


@every_case
def test_copies_answer_the_same(case: str) -> None:
    model, x = build(case), torch.rand(2, 3, 19, 26)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))


@pytest.mark.parametrize("name", ["resnet20", "preact_resnet20", "wrn_16_4", "se_resnet20", "resnet14_64", "resnet18"])
def test_named_networks_pickle(name: str) -> None:
    model, x = create_model(name).eval(), torch.rand(1, 3, 16, 16)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


@every_case
def test_channels_last_changes_nothing_but_the_layout(case: str) -> None:
    model, x = build(case), torch.rand(2, 3, 19, 26)
    expected = model(x)
    last = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    assert last.forward_features(x).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("case", "training"), [*((case, False) for case in COMPILED), ("wide, large stem", True)])
def test_network_compiles_without_graph_breaks(case: str, training: bool) -> None:
    model = build(case).train(training)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    for size in ((2, 3, 32, 32), (3, 3, 19, 26)):
        x = torch.rand(size)
        torch.manual_seed(1)
        expected = copy.deepcopy(model)(x)
        torch.manual_seed(1)
        torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@every_case
def test_network_compiles_with_inductor(case: str) -> None:
    model, x = build(case), torch.rand(2, 3, 19, 26)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(model, fullgraph=True)(x), model(x), rtol=1e-3, atol=1e-4)


@every_case
def test_network_exports_with_any_batch_height_and_width(case: str) -> None:
    model = build(case)
    least = model.output_stride + 1  # torch.export treats a side of one position as a constant
    named = {0: Dim("batch"), 2: Dim("height", min=least), 3: Dim("width", min=least)}
    sizes = dict.fromkeys(named, Dim.AUTO) if case in UNEVEN else named
    program = export(model, (torch.rand(2, 3, 32, 40),), dynamic_shapes=(sizes,)).module()
    for size in ((1, 3, 19, 23), (3, 3, 64, 21), (5, 3, 40, 40)):
        x = torch.rand(size)
        torch.testing.assert_close(program(x), model(x), rtol=1e-4, atol=1e-5)


def test_extractor_follows_a_model_that_is_adapted_in_place() -> None:
    model = ResNet(BasicBlock, (1, 1, 1), (4, 8, 8), stem="imagenet", strides=(1, 2, 2))
    extract = FeatureExtractor(model, indices=(0, 2, 3))
    assert extract.strides == (4, 8, 16)
    adapt(model, 32, stem="cifar", inplace=True)
    assert extract.strides == tuple(64 // found.shape[-1] for found in extract(torch.rand(1, 3, 64, 64))) == (1, 2, 4)


def test_extractor_exports() -> None:
    extract = FeatureExtractor(build("basic, option A"))
    x = torch.rand(2, 3, 24, 32)
    for found, expected in zip(export(extract, (x,)).module()(x), extract(x), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.fixture
def _process_group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize("kind", ["network", "extractor"])
def test_network_trains_in_distributed_data_parallel(kind: str) -> None:
    model: nn.Module = ResNet(BasicBlock, (1, 1), (4, 8), shortcut="pad")
    if kind == "extractor":
        model = FeatureExtractor(model, indices=(0, 1))  # type: ignore[arg-type]
    parallel = DistributedDataParallel(model)
    for _ in range(2):  # a parameter without gradient raises at the second step
        out = parallel(torch.rand(2, 3, 8, 9))
        sum(part.sum() for part in (out if kind == "extractor" else [out])).backward()
    assert all(p.grad is not None for p in model.parameters())
