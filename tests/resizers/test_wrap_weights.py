"""Weights go into a wrapped model part by part, and bad ones change nothing."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resizenet import CheckpointError, ResizedModel, Resizer
from resizenet.models import BasicBlock, ResNet


def wrapped() -> ResizedModel:
    return Resizer(11, channels=4).wrap(ResNet(BasicBlock, (1, 1), (4, 8)))


def test_a_backbones_own_weights_load_into_the_wrapped_model(tmp_path: Path) -> None:
    source, target = wrapped(), wrapped()
    resizer = copy.deepcopy(target.resizer.state_dict())
    torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in source.model.state_dict().items()}},
        tmp_path / "backbone.pt",
    )
    target.load_backbone(tmp_path / "backbone.pt")
    torch.testing.assert_close(target.model.state_dict(), source.model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(target.resizer.state_dict(), resizer, rtol=0, atol=0)


def test_a_resizers_weights_load_alone_and_the_parts_come_back() -> None:
    source, target = wrapped(), wrapped()
    model = copy.deepcopy(target.model.state_dict())
    target.load_resizer(source.resizer.state_dict())
    resizer, backbone = target.strip()
    torch.testing.assert_close(resizer.state_dict(), source.resizer.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(backbone.state_dict(), model, rtol=0, atol=0)


def _nan(state: dict[str, Tensor]) -> None:
    state["head.0.weight"][0, 0, 0, 0] = torch.nan


def _misshapen(state: dict[str, Tensor]) -> None:
    state["tail.weight"] = state["tail.weight"][:2]


def _integer(state: dict[str, Tensor]) -> None:
    state["tail.bias"] = state["tail.bias"].long()


def _missing(state: dict[str, Tensor]) -> None:
    del state["merge.0.weight"]


def _foreign(state: dict[str, Tensor]) -> None:
    state["fc.weight"] = torch.zeros(3)


FAULTS: dict[Callable[[dict[str, Tensor]], None], str] = {
    _nan: r"not finite: head\.0\.weight",
    _misshapen: r"of the wrong shape: tail\.weight \(2, 4, 7, 7\) where the model has \(3, 4, 7, 7\)",
    _integer: r"wrong kind: tail\.bias \(integer, torch\.int64\) where the model has \(floating, torch\.float32\)",
    _missing: r"missing: merge\.0\.weight",
    _foreign: r"unexpected: fc\.weight",
}


@pytest.mark.parametrize(("spoil", "message"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_the_key_at_fault_is_named_and_nothing_changes(
    spoil: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    model = wrapped()
    before = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(wrapped().resizer.state_dict())
    spoil(state)
    with pytest.raises(
        CheckpointError, match=f"load_resizer: the checkpoint does not fit Resizer, which is unchanged.*\n.*{message}"
    ):
        model.load_resizer(state)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("length", [0, 100, -10])
def test_a_truncated_file_is_named(tmp_path: Path, length: int) -> None:
    file = tmp_path / "resizer.pt"
    torch.save(wrapped().resizer.state_dict(), file)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"load_resizer: .*resizer\.pt cannot be read with weights_only=True"):
        wrapped().load_resizer(file)


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "module.pt")
    with pytest.raises(CheckpointError, match="cannot be read with weights_only=True"):
        wrapped().load_backbone(tmp_path / "module.pt")
