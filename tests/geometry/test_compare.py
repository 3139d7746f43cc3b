"""Test ``compare``: several sizes side by side, and errors."""

import json

import pytest
import torch
import torchvision
from torch import Tensor, nn

import resizenet as rn
from resizenet.geometry import Comparison, compare


def test_sizes_are_columns() -> None:
    found = compare(torchvision.models.resnet18(num_classes=10), [32, (64, 96)])
    lines = [line.split() for line in str(found).splitlines()]
    assert lines[0] == ["ResNet:", "11.2", "M", "parameters"]
    assert lines[2] == ["module", "32", "64x96"]
    assert lines[3] == ["conv1", "16x16", "32x48"]
    assert lines[8] == ["layer4", "1x1", "(83", "%", "idle)", "2x3"]
    assert lines[9] == ["MACs", "37.0", "M", "222.1", "M"]
    assert "222.1 M" in found._repr_html_()
    reports = json.loads(json.dumps(found.to_dict()))["reports"]
    assert [values["input_size"] for values in reports] == [[32, 32], [64, 96]]
    assert isinstance(found, Comparison)


class PoolsLargeMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(self.pool(x) if x.shape[-1] > 32 else x)


def test_a_module_that_is_not_called_at_a_size_has_a_dash_there() -> None:
    lines = [line.split() for line in str(compare(PoolsLargeMaps(), [32, 64, 16])).splitlines()]
    assert lines[2:6] == [
        ["module", "32", "64", "16"],
        ["first", "32x32", "64x64", "16x16"],
        ["pool", "-", "32x32", "-"],
        ["last", "32x32", "32x32", "16x16"],
    ]
    assert ">-<" in compare(PoolsLargeMaps(), [32, 64])._repr_html_()


@pytest.mark.parametrize(
    ("model", "sizes", "error", "message"),
    [
        (
            nn.Identity(),
            32,
            rn.ArgumentError,
            r"^sizes: expected several sizes, such as \[32, 64\], got 32; report takes",
        ),
        (nn.Identity(), torch.tensor(32), rn.ArgumentError, r"^sizes: expected several sizes, such as \[32, 64\], got"),
        (nn.Identity(), [], rn.ArgumentError, r"^sizes: expected one size or more, got none$"),
        (torchvision.models.AlexNet(), [224, 32], rn.ShapeError, r"AlexNet cannot take an image of \(3, 32, 32\)"),
    ],
)
def test_wrong_sizes_raise(model: nn.Module, sizes: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare(model, sizes)
