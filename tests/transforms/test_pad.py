"""PadToSquare and PadToMultiple: no pixel changes, and new pixels have the fill of their kind."""

import pytest
import torch
from hypothesis import given
from PIL import Image
from torchvision import tv_tensors

from resizenet.transforms import PadToMultiple, PadToSquare
from strategies import sizes

FILLS = {"fill": (1, 2, 3), "mask_fill": 255}


@pytest.mark.parametrize("transform", [PadToSquare(**FILLS), PadToMultiple(4, **FILLS, position="center")])
def test_new_pixels_have_the_fill_of_their_kind(transform: PadToSquare) -> None:
    image, mask, video = (torch.full((*shape, 2, 4), 9) for shape in ((3,), (), (2, 3)))
    image, mask, video = transform((tv_tensors.Image(image), tv_tensors.Mask(mask), tv_tensors.Video(video)))
    assert [sorted(channel.unique().tolist()) for channel in image] == [[1, 9], [2, 9], [3, 9]]
    assert image[:, 0, 0].tolist() == image[:, -1, -1].tolist() == [1, 2, 3]  # above and below a centered image
    assert torch.equal(video, torch.stack([image, image]))
    assert sorted(mask.unique().tolist()) == [9, 255]
    assert ((mask == 255) == (image[0] == 1)).all()


def test_pil_images_are_filled_in_color() -> None:
    out = PadToSquare(fill=(1, 2, 3), position="top_left")(Image.new("RGB", (4, 2), (9, 9, 9)))
    assert (out.getpixel((0, 0)), out.getpixel((0, 3))) == ((9, 9, 9), (1, 2, 3))


@given(sizes)
def test_padding_changes_no_pixel(size: tuple[int, int]) -> None:
    image = torch.rand(1, *size)
    square, multiple = PadToSquare(position="top_left")(image), PadToMultiple((5, 7))(image)
    for out in (square, multiple):
        assert torch.equal(out[:, : size[0], : size[1]], image)
        assert torch.isclose(out.sum(), image.sum())  # the rest is black; sums in another order
    assert square.shape[-2:] == (max(size), max(size))
    assert (multiple.shape[-2] % 5, multiple.shape[-1] % 7) == (0, 0)
