"""Functions compute on the device of their arguments, whatever the default device is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from resizenet import functional

X = torch.rand(2, 3, 9, 7)
BOXES, FLIP = torch.tensor([[0, 0, 9, 7], [2, 3, 4, 1]]), torch.tensor([True, False])
MOMENTS = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
CALLS: dict[str, Callable[[], Tensor]] = {
    "resize": lambda: functional.resize(X, (5, 1)),
    "resize of uint8": lambda: functional.resize((255 * X).byte(), (5, 1)),
    "crop_resize": lambda: functional.crop_resize(X, BOXES, 5, flip=FLIP, **MOMENTS),
    "crop_resize of uint8": lambda: functional.crop_resize((255 * X).byte(), BOXES, 5, dtype=torch.float32),
    "resize_matrix": lambda: functional.resize_matrix(9, 5, device="cpu"),
    "fold_upscale": lambda: functional.fold_upscale(X[..., :7, :]),
    **{
        f"resize_filter, {method}": lambda method=method: functional.resize_filter(X[..., :7, :], 5, method=method)
        for method in ("center", "area", "pinv")
    },
}


@pytest.mark.parametrize("compiling", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_the_default_device_does_not_matter(call: str, compiling: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)  # crop_resize by matrices
    expected = CALLS[call]()
    with torch.device("meta"):
        assert torch.equal(CALLS[call](), expected)
