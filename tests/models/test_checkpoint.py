"""Checkpoints of other repositories load into the right layers; those that do not fit change nothing."""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from resizenet import CheckpointError, UnknownNameError, UnsupportedModelError, create_model
from resizenet.models import BasicBlock, Bottleneck, ResNet, WideBlock, load_checkpoint

BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
# Their modules and ours, read in the repositories' sources. "*" is a convolution or a linear layer, "+" a batch norm.
TORCHVISION = {
    "conv1": "stem.conv *",
    "bn1": "stem.norm +",
    **{f"layer{i}.0.conv{j}": f"stages.{i - 1}.0.conv{j} *" for i in (1, 2) for j in (1, 2)},
    **{f"layer{i}.0.bn{j}": f"stages.{i - 1}.0.norm{j} +" for i in (1, 2) for j in (1, 2)},
    "layer2.0.downsample.0": "stages.1.0.shortcut.0 *",
    "layer2.0.downsample.1": "stages.1.0.shortcut.1 +",
    "fc": "fc *",
}
KUANGLIU = {name.replace("downsample", "shortcut").replace("fc", "linear"): ours for name, ours in TORCHVISION.items()}
LAYERS = {0: "conv1 *", 1: "norm1 +", 3: "conv2 *", 4: "norm2 +"}
WEIAICUNZAI = {
    "conv1.0": "stem.conv *",
    "conv1.1": "stem.norm +",
    **{f"conv{i}_x.0.residual_function.{j}": f"stages.{i - 2}.0.{LAYERS[j]}" for i in (2, 3) for j in LAYERS},
    "conv3_x.0.shortcut.0": "stages.1.0.shortcut.0 *",
    "conv3_x.0.shortcut.1": "stages.1.0.shortcut.1 +",
    "fc": "fc *",
}
XTERNALZ = {
    "conv1": "stem.conv *",
    **{f"block{i}.layer.0.bn{j}": f"stages.{i - 1}.0.norm{j} +" for i in (1, 2) for j in (1, 2)},
    **{f"block{i}.layer.0.conv{j}": f"stages.{i - 1}.0.conv{j} *" for i in (1, 2) for j in (1, 2)},
    **{f"block{i}.layer.0.convShortcut": f"stages.{i - 1}.0.shortcut.0 *" for i in (1, 2)},
    "bn1": "norm.0 +",
    "fc": "fc *",
}
LAYOUTS = {
    "torchvision": TORCHVISION,
    "pytorch-cifar": KUANGLIU,
    "pytorch-cifar100": WEIAICUNZAI,
    "wide-resnet": XTERNALZ,
}


def small(layout: str = "torchvision") -> ResNet:
    if layout == "wide-resnet":
        return ResNet(WideBlock, (1, 1), (8, 16), stem_width=4, num_classes=3)
    return ResNet(BasicBlock, (1, 1), (4, 8), num_classes=3)


def theirs(layout: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random weights under their names, and the same under ours."""
    shapes = small(layout).state_dict()
    found, expected = {}, {}
    for their_module, ours in LAYOUTS[layout].items():
        our_module, kind = ours.split()
        parts = BATCH_NORM if kind == "+" else ("weight", "bias") if our_module == "fc" else ("weight",)
        for part in parts:
            value = torch.randint(1, 99, shapes[f"{our_module}.{part}"].shape).to(shapes[f"{our_module}.{part}"].dtype)
            found[f"{their_module}.{part}"] = expected[f"{our_module}.{part}"] = value
    return found, expected


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("auto", [True, False], ids=["auto", "named"])
def test_layout_of_a_repository_is_mapped(layout: str, auto: bool) -> None:
    state, expected = theirs(layout)
    given = dict(state)
    model = small(layout)
    load_checkpoint(model, state, layout="auto" if auto else layout)
    assert_same(model.state_dict(), expected)
    assert_same(state, given)


@pytest.mark.parametrize("name", ["resnet20", "preact_resnet20", "wrn_16_4", "se_resnet20", "resnet9"])
def test_own_checkpoints_load(name: str) -> None:
    source, model = create_model(name), create_model(name)
    load_checkpoint(model, source.state_dict())
    assert_same(model.state_dict(), source.state_dict())


TORCHVISION_NETS = {
    "resnet18": {},
    "resnet50": {},
    "resnext50_32x4d": {"groups": 32, "bottleneck_ratio": 0.5},
    "wide_resnet50_2": {"bottleneck_ratio": 0.5},
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name != "wide_resnet50_2" else [pytest.mark.slow]) for name in TORCHVISION_NETS],
)
def test_torchvisions_network_gives_the_same_answer(name: str) -> None:
    source = torchvision.models.get_model(name, weights=None).eval()
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    basic = name == "resnet18"
    widths = (64, 128, 256, 512) if basic else (256, 512, 1024, 2048)
    depths = (2, 2, 2, 2) if basic else (3, 4, 6, 3)
    block = BasicBlock if basic else Bottleneck
    model = ResNet(
        block, depths, widths, stem="imagenet", stem_width=64, num_classes=1000, **TORCHVISION_NETS[name]
    ).eval()
    load_checkpoint(model, source.state_dict())
    x = torch.rand(2, 3, 64, 97)
    with torch.no_grad():
        torch.testing.assert_close(model(x), source(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_and_prefixes_are_taken_off(tmp_path: Path, wrapper: str, prefix: str) -> None:
    state, expected = theirs("pytorch-cifar")
    path = tmp_path / "best.pth"
    torch.save({wrapper: {prefix + name: value for name, value in state.items()}, "epoch": 199, "acc": 95.4}, path)
    for source in (path, str(path)):
        model = small()
        load_checkpoint(model, source)
        assert_same(model.state_dict(), expected)


def test_counters_that_old_torch_did_not_save_may_be_missing() -> None:
    state, expected = theirs("torchvision")
    model = small()
    load_checkpoint(model, {name: value for name, value in state.items() if "num_batches_tracked" not in name})
    found = model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items() if "num_batches_tracked" not in name)


def faulty(fault: str) -> dict[str, Any]:
    state = theirs("torchvision")[0]
    if fault == "missing":
        del state["bn1.running_var"], state["layer2.0.downsample.0.weight"]
    if fault == "unexpected":
        state["layer3.0.conv1.weight"] = state["aux.weight"] = torch.zeros(1)
    if fault == "of the wrong shape":
        state["conv1.weight"], state["fc.bias"] = torch.zeros(4, 3, 7, 7), torch.zeros(10)
    return state


FAULTS = {
    "missing": r"missing: stem\.norm\.running_var, stages\.1\.0\.shortcut\.0\.weight$",
    "unexpected": r"unexpected: stages\.2\.0\.conv1\.weight, aux\.weight$",
    "of the wrong shape": r"of the wrong shape: stem\.conv\.weight \(4, 3, 7, 7\) where the model has \(4, 3, 3, 3\), "
    r"fc\.bias \(10,\) where the model has \(3,\)$",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_key_at_fault_is_named_and_nothing_changes(fault: str) -> None:
    model = small()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        CheckpointError, match=r"does not fit ResNet, which is unchanged \(names as in the model\)\n  " + FAULTS[fault]
    ):
        load_checkpoint(model, faulty(fault))
    assert_same(model.state_dict(), before)


def test_kinds_of_fault_are_named_together() -> None:
    state = {name: value for fault in FAULTS for name, value in faulty(fault).items() if "bn2" not in name}
    with pytest.raises(CheckpointError, match=r"(?s)missing: .*norm2.*\n  unexpected: .*\n  of the wrong shape: "):
        load_checkpoint(small(), {**state, "conv1.weight": torch.zeros(1)})


class _Payload:
    """What a pickle can do to its reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": _Payload(tmp_path / "owned")}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth cannot be read with weights_only=True"):
        load_checkpoint(small(), tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half of one"])
def test_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pth cannot be read with weights_only=True"):
        load_checkpoint(small(), path)


def test_missing_file_stays_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(small(), tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("source", "got"), [({"epoch": 3}, r"'epoch': int"), ({}, "nothing"), ({"net": [1]}, r"'net': list")]
)
def test_dict_without_tensors_is_described(source: dict[str, Any], got: str) -> None:
    with pytest.raises(CheckpointError, match=rf"expected tensors by name, or those under one of .*, got {got}"):
        load_checkpoint(small(), source)


def test_unknown_layout_has_a_hint() -> None:
    expected = (
        "layout: expected one of 'auto', 'resizenet', 'torchvision', .*, got 'torchvison'; did you mean 'torchvision'"
    )
    with pytest.raises(UnknownNameError, match=expected):
        load_checkpoint(small(), {}, layout="torchvison")  # type: ignore[arg-type]


def test_other_models_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"load_checkpoint: expected a resizenet.models.ResNet, got Linear"):
        load_checkpoint(nn.Linear(3, 3), {"weight": torch.zeros(3, 3)})  # type: ignore[arg-type]


def test_a_named_layout_is_not_replaced_by_a_better_one() -> None:
    with pytest.raises(CheckpointError, match="unexpected: "):
        load_checkpoint(small(), theirs("torchvision")[0], layout="resizenet")
