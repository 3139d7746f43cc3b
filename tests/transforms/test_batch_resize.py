"""BatchResize: a collated batch of any structure, at another size, in its own dtype and on its own device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import default_collate
from torchvision import tv_tensors

from reference import resize
from resizenet.transforms import BatchResize, Stretch
from samples import NEWER, batch_of, boxes
from strategies import Resizing, antialiases, images, linear_interpolations, memory_formats, resizings


@given(resizings())
def test_batches_equal_the_reference(case: Resizing) -> None:
    x = torch.rand(2, 3, *case.before, dtype=torch.float64)
    expected = resize(x.numpy(), case.after, case.interpolation, case.antialias)
    out = BatchResize(case.after, **case.rule)(x).numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-10)  # float64 sums in another order


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [(5, 7), (29, 37), (3, 41), (17, 1)], ids=str)
def test_a_batch_is_its_images_one_by_one(dtype: torch.dtype, size: tuple[int, int]) -> None:
    x = batch_of(3, (13, 19), dtype)
    out = BatchResize(size)(x)
    assert (out.shape, out.dtype) == ((3, 3, *size), dtype)
    one_by_one = torch.stack([Stretch(size)(image) for image in x])
    rtol = 1e-6 if dtype == torch.float32 else 0  # one pixel wide: matrix products, in another order
    torch.testing.assert_close(out, one_by_one, rtol=rtol, atol=1e-10)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 64), st.sampled_from([3, 4, 5, 8, 28, 31, 64])),
    linear_interpolations,
    antialiases,
    st.integers(1, 5),
    memory_formats,
)
@settings(max_examples=200)
def test_convention_the_two_passes_of_uint8_batches_that_grow_are_torchs_own_to_the_bit(
    before: tuple[int, int],
    after: tuple[int, int],
    interpolation: str,
    antialias: bool,
    channels: int,
    layout: torch.memory_format,
) -> None:
    x = torch.randint(256, (2, channels, *before), dtype=torch.uint8).contiguous(memory_format=layout)
    ours = BatchResize(after, interpolation=interpolation, antialias=antialias)(x)
    theirs = F.interpolate(x, after, mode=interpolation, antialias=antialias, align_corners=False)
    assert torch.equal(ours, theirs)
    assert ours.stride() == theirs.stride()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("wrap", [lambda x: (x,), tv_tensors.Image, lambda x: x], ids=["tuple", "Image", "tensor"])
def test_the_memory_format_is_kept(layout: torch.memory_format, wrap: Callable[[Tensor], Any]) -> None:
    x = batch_of().contiguous(memory_format=layout)
    for size in ((5, 7), (128, 128)):  # down in one pass, up in two
        out = BatchResize(size)(wrap(x))
        out = out if isinstance(out, Tensor) else out[0]
        assert out.is_contiguous(memory_format=layout)
        assert out.is_contiguous() == (layout is torch.contiguous_format)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_as_good_as_one_rounding_of_the_exact_result(dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, 29, 37).to(dtype)
    exact = torch.as_tensor(resize(x.double().numpy(), (11, 53)))
    error = (BatchResize((11, 53))(x).double() - exact).abs().max()
    assert error <= 2 * (exact.to(dtype).double() - exact).abs().max()  # flash-attention's rule, against one rounding


@given(images())
def test_the_input_is_not_edited(x: Tensor) -> None:
    before = x.clone()
    BatchResize((7, 11))((x, 5))
    assert torch.equal(x, before)


def test_labels_stay_the_same_object_wherever_they_stand() -> None:
    x, labels = batch_of(), torch.arange(5)
    nested = {"a": [{"label": labels}], "b": (x, "text")}
    for batch in ((x, labels), [labels, x], {"label": labels, "image": x}, nested):
        out = BatchResize((5, 7))(batch)
        leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if isinstance(leaf, Tensor)]
        assert type(out) is type(batch)
        assert sum(leaf is labels for leaf in leaves) == 1
        assert [leaf.shape for leaf in leaves if leaf is not labels] == [(5, 3, 5, 7)]


def test_images_masks_boxes_and_points_of_a_detection_batch_are_resized() -> None:
    x = torch.zeros(2, 3, 40, 20, dtype=torch.uint8)
    x[:, :, 10:30, 5:15] = 255
    points = {"points": tv_tensors.KeyPoints([[5.0, 10]], canvas_size=(40, 20))} if NEWER else {}
    target = {"boxes": boxes([[5.0, 10, 15, 30]], (40, 20)), **points, "labels": torch.tensor([7])}
    sample = tv_tensors.Image(x), tv_tensors.Mask(x[:, 0]), [target, target]
    images_out, masks, targets_out = BatchResize((20, 40))(sample)
    expected = torch.zeros(20, 40, dtype=torch.bool)
    expected[5:15, 10:30] = True
    assert torch.equal(images_out[:, 0] > 127, expected.expand(2, 20, 40))
    assert torch.equal(masks > 0, expected.expand(2, 20, 40))
    for after in targets_out:
        assert after["boxes"].tolist() == [[10, 5, 30, 15]]
        assert after["boxes"].canvas_size == (20, 40)
        assert not NEWER or after["points"].tolist() == [[10, 5]]
        assert after["labels"] is target["labels"]


def test_the_output_of_default_collate_for_classification_is_taken() -> None:
    batch = default_collate([(tv_tensors.Image(torch.rand(3, 8, 8)), label) for label in range(4)])
    x, labels = BatchResize(5)(batch)
    assert x.shape == (4, 3, 5, 5)
    assert labels.tolist() == [0, 1, 2, 3]


def test_a_call_may_ask_for_another_size() -> None:
    module = BatchResize(7)
    assert module(batch_of(), 11).shape == (5, 3, 11, 11)
    assert module((batch_of(), 0), (11, 5))[0].shape == (5, 3, 11, 5)
    assert module(batch_of()).shape == (5, 3, 7, 7)


def test_an_interpolation_is_drawn_for_each_batch() -> None:
    x, names = torch.rand(3, 3, 13, 19), ("bilinear", "bicubic")
    expected = [BatchResize(7, interpolation=name)(x) for name in names]
    drawn = BatchResize(7, interpolation=names)
    for outs in ([drawn(x) for _ in range(30)], [drawn((x, 0))[0] for _ in range(30)]):
        seen = {next(i for i, other in enumerate(expected) if torch.equal(out, other)) for out in outs}
        assert seen == {0, 1}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_tensors_compile_without_a_graph_break(dtype: torch.dtype) -> None:
    torch._dynamo.reset()
    module = BatchResize((5, 7))
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for x in (batch_of(dtype=dtype), batch_of(3, (31, 23), dtype)):
        assert torch.equal(compiled(x), module(x))


@pytest.mark.cuda
def test_cuda_batches_stay_there() -> None:
    x, labels = BatchResize((5, 7))((batch_of().cuda(), torch.arange(3)))
    assert x.is_cuda
    assert not labels.is_cuda
