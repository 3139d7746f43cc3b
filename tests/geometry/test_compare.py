"""``compare`` where the sizes take different ways through the model, and where they are no sizes."""

import pytest
from torch import Tensor, nn

import resizenet as rn
from resizenet.geometry import compare


class PoolsLargeMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(self.pool(x) if x.shape[-1] > 32 else x)


def test_a_module_that_does_not_run_at_a_size_has_a_dash_there() -> None:
    lines = [line.split() for line in str(compare(PoolsLargeMaps(), [32, 64, 16])).splitlines()]
    assert lines[2:6] == [
        ["module", "32", "64", "16"],
        ["first", "32x32", "64x64", "16x16"],
        ["pool", "-", "32x32", "-"],
        ["last", "32x32", "32x32", "16x16"],
    ]
    assert ">-<" in compare(PoolsLargeMaps(), [32, 64])._repr_html_()


def test_one_size_by_itself_is_an_error_that_says_what_to_write() -> None:
    with pytest.raises(
        rn.ArgumentError,
        match=r"^sizes: expected several sizes, such as \[32, 64\], got 32; report takes a single one$",
    ):
        compare(nn.Identity(), 32)
