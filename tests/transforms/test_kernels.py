"""Inputs of a user's own type go through torchvision's dispatch: registered kernels are called, others pass through."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resizenet import transforms as T
from samples import SOURCE, Unknown, batch_of

CALLS: list[str] = []


class Recorded(tv_tensors.TVTensor):
    """A type with kernels of the user's, each of which records its name and returns the input."""


class RecordedImage(tv_tensors.Image):
    """A kind of image with a kernel of the user's for ``resize`` only."""


def _record(name: str, cls: type) -> None:
    def kernel(inpt: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        CALLS.append(name)
        return inpt

    v2.functional.register_kernel(getattr(F, name), cls)(kernel)


for _name in ("resize", "pad", "crop", "resized_crop", "center_crop", "horizontal_flip"):
    _record(_name, Recorded)
_record("resize", RecordedImage)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (v2.Resize((5, 7)), ["resize"]),  # torchvision's own, to compare with
        (T.Stretch((5, 7)), ["resize"]),
        (T.Stretch(SOURCE), ["resize"]),  # v2.Resize calls it for images of that size as well
        (T.PadToSquare(), ["pad"]),
        (T.Letterbox(9), ["resize", "pad"]),
        (v2.RandomResizedCrop((5, 7)), ["resized_crop"]),
        (T.RandomResizedCropPolicy((5, 7)).train(), ["resized_crop"]),
        (T.RandomResizedCropPolicy((5, 7)).eval(), ["resize", "center_crop"]),
        (lambda sample: T.Letterbox(SOURCE).inverse(sample, SOURCE), ["crop", "resize"]),
        (T.BatchResize(9), ["resize"]),
    ],
)
def test_kernels_that_users_registered_are_called(transform: Any, expected: list[str]) -> None:
    image, own = tv_tensors.Image(torch.rand(1, 3, *SOURCE)), torch.rand(3).as_subclass(Recorded)
    assert transform((image, own))[1] is own
    assert expected == CALLS


def test_kernels_that_users_registered_are_called_for_each_image_of_a_batch() -> None:
    own = [torch.rand(3).as_subclass(Recorded) for _ in range(4)]
    T.BatchRandomResizedCrop(7, flip_probability=1.0)((batch_of(4), own))
    assert CALLS == ["resized_crop", "horizontal_flip"] * 4


def test_a_subclass_of_image_is_an_image_unless_it_has_a_kernel() -> None:
    class Photo(tv_tensors.Image):
        pass

    pixels = torch.rand(3, *SOURCE)
    out = T.Stretch(7)(pixels.as_subclass(Photo))
    assert type(out) is Photo
    assert torch.equal(out, T.Stretch(7)(pixels))
    own = pixels.as_subclass(RecordedImage)
    assert T.Stretch(7)(own) is own
    assert CALLS == ["resize"]


def test_a_batch_is_cropped_beside_inputs_without_kernels() -> None:
    own = torch.rand(3).as_subclass(Unknown)
    for module in (T.BatchRandomResizedCrop(7), T.BatchResize(7)):
        images, same = module((batch_of(), own))
        assert images.shape[-2:] == (7, 7)
        assert same is own
