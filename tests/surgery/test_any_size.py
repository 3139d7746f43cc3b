"""``AnySize``: a model behind padding, whose maps are cropped to the image."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import timm
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import Dim
from torchvision.models import segmentation
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from transformers import Dinov2Config, Dinov2Model
from transformers.modeling_outputs import BackboneOutput

import resizenet as rn
from resizenet import AnySize

ODD_SIZES = [(33 + 7 * i % 61, 35 + 11 * i % 67) for i in range(20)]
NUMPY = {"replicate": "edge", "reflect": "reflect", "constant": "constant"}


class Unet(nn.Module):
    """Two strided convolutions and their way back; raises unless both sides are multiples of four."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(8, 4, 2, 2), nn.ConvTranspose2d(8, 5, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        half = self.first(x)
        return self.last(torch.cat([half, self.up(self.second(half))], 1))


class Returns(nn.Module):
    """Returns what a function makes of the image."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.function(image, *args, **kwargs)


def padded_by_hand(x: Tensor, multiple: int, mode: str, *, center: bool = False) -> tuple[Tensor, tuple[int, int]]:
    """The padded images, and how many rows and columns were added before the first."""
    missing = [-side % multiple for side in x.shape[2:]]
    before = [side // 2 if center else 0 for side in missing]
    margins = [(first, both - first) for first, both in zip(before, missing, strict=True)]
    return torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), *margins], mode=NUMPY[mode])), (before[0], before[1])


def strided(image: Tensor, stride: int) -> Tensor:
    """A map of this stride whose positions hold the first pixel that they see."""
    return image[:, :, ::stride, ::stride]


# --- values


@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize("position", ["top_left", "center"])
def test_the_output_is_that_of_padding_by_hand(mode: str, position: str) -> None:
    model = Unet().eval()
    for size in ODD_SIZES:
        x = torch.rand(2, 3, *size)
        padded, (top, left) = padded_by_hand(x, 4, mode, center=position == "center")
        expected = model(padded)[:, :, top : top + size[0], left : left + size[1]]
        found = AnySize(model, multiple=4, mode=mode, position=position)(x)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_multiples_are_not_padded() -> None:
    seen = []
    model = AnySize(Returns(lambda image: seen.append(image)), multiple=4)
    x = torch.rand(1, 3, 8, 12)
    model(x)
    assert seen[0] is x


def test_constant_padding_has_the_fill() -> None:
    model = AnySize(Returns(lambda image: image.amax((2, 3))), multiple=8, mode="constant", fill=7)
    assert model(torch.rand(1, 3, 5, 8)).tolist() == [[7, 7, 7]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("mode", NUMPY)
def test_every_dtype_is_padded_as_it_is(mode: str, dtype: torch.dtype) -> None:
    x = torch.randint(256, (1, 3, 13, 11)).to(dtype)
    seen = []
    AnySize(Returns(seen.append), multiple=8, mode=mode)(x)
    expected, _ = padded_by_hand(x.float(), 8, mode)
    assert seen[0].dtype == dtype
    torch.testing.assert_close(seen[0].float(), expected, rtol=0, atol=0)


@given(
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.sampled_from([(1, 8), (2, 8), (4, 8), (8, 8), (16, 8), (64, 8), (7, 14)]),
)
def test_a_map_of_a_stride_is_cropped_to_the_positions_that_hold_the_image(
    size: tuple[int, int], numbers: tuple[int, int]
) -> None:
    stride, multiple = numbers
    x = torch.rand(1, 2, *size)
    out = AnySize(Returns(lambda image: strided(image, stride)), multiple=multiple)(x)
    assert torch.equal(out, strided(x, stride))


def test_an_enlarged_map_is_cropped_by_its_factor() -> None:
    x = torch.rand(1, 2, 5, 7)
    model = AnySize(Returns(lambda image: image.repeat_interleave(3, 2).repeat_interleave(3, 3)), multiple=4)
    assert torch.equal(model(x), x.repeat_interleave(3, 2).repeat_interleave(3, 3))


def test_a_centered_map_is_cropped_from_the_position_that_holds_the_first_pixel() -> None:
    x = torch.rand(1, 2, 5, 7)  # on 8 x 8: one row above, no column before
    out = AnySize(Returns(lambda image: strided(image, 4)), multiple=8, position="center")(x)
    padded, _ = padded_by_hand(x, 8, "replicate", center=True)
    assert torch.equal(out, strided(padded, 4))


# --- kinds of output


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Record:
    map: Tensor
    more: Any


def test_every_map_in_a_nesting_is_cropped_and_the_rest_is_returned_as_it_is() -> None:
    classes, word, tokens = torch.rand(2, 10), object(), torch.rand(2, 17, 8)

    def outputs(image: Tensor) -> dict[str, Any]:
        return {
            "list": [image, strided(image, 2), classes],
            "pair": Pair(strided(image, 4), {"labels": image.argmax(1)}),
            "record": Record(image, [strided(image, 8), word]),
            "tokens": tokens,
            "pooled": image.mean((2, 3), keepdim=True),
            "model output": BackboneOutput(feature_maps=(image, strided(image, 4))),
        }

    x = torch.rand(2, 3, 13, 18)
    found, expected = AnySize(Returns(outputs), multiple=16)(x), outputs(x)
    for path in ("list", "pair"):
        assert type(found[path]) is type(expected[path])
    torch.testing.assert_close(found["list"], expected["list"], rtol=0, atol=0)
    torch.testing.assert_close(found["pair"], expected["pair"], rtol=0, atol=0)
    assert torch.equal(found["record"].map, x)
    assert torch.equal(found["record"].more[0], strided(x, 8))
    assert found["record"].more[1] is word
    assert found["list"][2] is classes
    assert found["tokens"] is tokens
    assert found["pooled"].shape == (2, 3, 1, 1)
    assert isinstance(found["model output"], BackboneOutput)
    torch.testing.assert_close(found["model output"].feature_maps, (x, strided(x, 4)), rtol=0, atol=0)


# --- arguments


def test_a_mask_is_true_on_the_image() -> None:
    seen = {}
    model = AnySize(Returns(lambda image, **given: seen.update(given)), multiple=4, mask_argument="pixel_mask")
    model(torch.rand(2, 3, 3, 5))
    expected = torch.zeros(2, 4, 8, dtype=torch.bool)
    expected[:, :3, :5] = True
    assert torch.equal(seen["pixel_mask"], expected)
    model(torch.rand(2, 3, 3, 5), pixel_mask=2 * torch.ones(2, 3, 5, dtype=torch.long))
    assert torch.equal(seen["pixel_mask"], 2 * expected.long())


@pytest.mark.parametrize("name", ["pixel_values", "image"])
def test_images_may_be_passed_under_a_name(name: str) -> None:
    x = torch.rand(1, 3, 5, 7)
    model = AnySize(Returns(lambda image=None, pixel_values=None: pixel_values if image is None else image), multiple=4)
    if name == "pixel_values":
        model.model.forward = lambda image=None, pixel_values=None: pixel_values
    assert torch.equal(model(**{name: x}), x)


def test_other_arguments_reach_the_model() -> None:
    model = AnySize(Returns(lambda image, factor, *, offset: factor * image + offset), multiple=4)
    assert torch.equal(model(torch.ones(1, 1, 3, 3), 3, offset=4), torch.full((1, 1, 3, 3), 7.0))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"multiple": 0}, rn.ArgumentError, "multiple: expected a positive int, got 0"),
        ({"multiple": "always"}, rn.UnknownNameError, "multiple: expected one of 'auto', got 'always'"),
        ({"mode": "wrap"}, rn.UnknownNameError, "mode: expected one of 'replicate', 'reflect', 'constant'"),
        ({"position": "end"}, rn.UnknownNameError, "position: expected one of 'center', 'top_left'"),
        ({"fill": "black"}, rn.ArgumentError, "fill: expected a number, got 'black'"),
        ({"mask_argument": 3}, rn.ArgumentError, "mask_argument: expected the name of an argument, got 3"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AnySize(Unet(), **{"multiple": 4, **arguments})


def test_wrong_calls_are_named() -> None:
    model = AnySize(Unet(), multiple=4, mode="reflect", mask_argument="mask")
    with pytest.raises(rn.DtypeError, match=r"AnySize: expected images as the first argument.*got no arguments"):
        model()
    with pytest.raises(
        rn.ShapeError, match=r"AnySize: expected \(B, C, H, W\) with at least one pixel, got \(3, 5, 7\)"
    ):
        model(torch.rand(3, 5, 7))
    with pytest.raises(rn.DtypeError, match=r"expected a floating point or uint8 tensor .* got torch.int64"):
        model(torch.ones(1, 3, 5, 7, dtype=torch.long))
    with pytest.raises(rn.ShapeError, match=r"expected a mask of the images' size, \(1, 5, 7\), got \(1, 8, 8\)"):
        model(torch.rand(1, 3, 5, 7), mask=torch.ones(1, 8, 8))
    with pytest.raises(rn.ShapeError, match=r"more pixels than mode='reflect' pads, got 2 x 8 on a canvas of \(4, 8\)"):
        model(torch.rand(1, 3, 2, 8))


# --- multiple="auto", and what report says


def vit(**arguments: Any) -> nn.Module:
    return timm.create_model("vit_tiny_patch16_224", dynamic_img_size=True, depth=1, **arguments)


def dinov2() -> nn.Module:
    """Drops the last pixels of an image without a word."""
    return Dinov2Model(Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=224))


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make()


MULTIPLES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "convolutions with padding": (torchvision.models.resnet18, 1),
    "a U-Net": (Unet, 4),
    "pools that drop lines": (torchvision.models.vgg11, 32),
    "patches": (vit, 16),
    "patches that drop lines": (dinov2, 14),
    "its own padding": (lambda: vit(dynamic_img_pad=True), 1),
}


@pytest.mark.parametrize("name", MULTIPLES)
def test_auto_finds_the_multiple(name: str) -> None:
    make, expected = MULTIPLES[name]
    assert AnySize(on_meta(make)).multiple == expected


def test_auto_refuses_a_model_that_takes_one_size_only() -> None:
    with pytest.raises(rn.UnsupportedModelError, match=r'multiple="auto" found no number up to 128.*pass the number'):
        AnySize(timm.create_model("vit_tiny_patch16_224", depth=1))


def test_a_smallest_size_is_no_multiple() -> None:
    def check(image: Tensor) -> Tensor:
        if image.shape[2] < 230:
            raise ValueError("too small")
        return image

    with pytest.raises(rn.UnsupportedModelError, match="found no number"):
        AnySize(Returns(check))


def test_report_says_what_the_sides_must_be_multiples_of() -> None:
    text = "resizenet.AnySize(model, multiple=4): images of any size; without it the sides must be multiples of 4"
    assert text in rn.report(Unet(), 32).suggestions
    assert rn.report(AnySize(Unet()), 33).suggestions == ()
    with pytest.raises(
        rn.ShapeError, match=r"sides must be multiples of 4, and resizenet.AnySize\(model, multiple=4\)"
    ):
        rn.report(Unet(), (32, 33))
    assert not any("multiples" in text for text in rn.report(on_meta(torchvision.models.vgg11), 64).suggestions)


def test_a_size_that_is_a_multiple_fails_with_the_models_own_words_only() -> None:
    with pytest.raises(rn.ShapeError) as failure:
        rn.report(torchvision.models.inception_v3(aux_logits=False, init_weights=False), 32)
    assert "multiples" not in str(failure.value)


# --- as a module


def test_keys_of_the_state_dict_are_those_of_the_model() -> None:
    model = Unet()
    assert list(AnySize(model, multiple=4).state_dict()) == [f"model.{key}" for key in model.state_dict()]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_compute_the_same(duplicate: Callable[[nn.Module], nn.Module]) -> None:
    model, x = AnySize(Unet()).eval(), torch.rand(1, 3, 13, 18)
    assert torch.equal(duplicate(model)(x), model(x))


def test_it_compiles_without_graph_breaks() -> None:
    torch._dynamo.reset()
    model = AnySize(Unet(), position="center").eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for size in [(13, 18), (16, 16)]:
        x = torch.rand(1, 3, *size)
        torch.testing.assert_close(compiled(x), model(x))


@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize("position", ["top_left", "center"])
def test_one_exported_graph_takes_every_size(mode: str, position: str) -> None:
    class Maps(Unet):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x), self.first(x), {"classes": self.first(x).mean((2, 3))}

    model = AnySize(Maps(), multiple=4, mode=mode, position=position).eval()
    dynamic = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    exported = torch.export.export(model, (torch.rand(2, 3, 33, 47),), dynamic_shapes=dynamic).module()
    for shape in [(2, 3, 33, 47), (1, 3, 32, 50), (3, 3, 41, 64), (2, 3, 64, 64), (1, 3, 5, 7)]:
        x = torch.rand(shape)
        torch.testing.assert_close(exported(x), model(x), rtol=0, atol=1e-6)


def test_under_autocast_the_output_has_its_dtype() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert AnySize(Unet())(torch.rand(1, 3, 13, 18)).dtype == torch.bfloat16


def test_gradients_are_those_of_padding_by_hand() -> None:
    model, x = Unet().double(), torch.rand(1, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(AnySize(model, multiple=4), (x,), fast_mode=True)


def test_it_trains_in_distributed_data_parallel(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(AnySize(Unet()))
        model(torch.rand(1, 3, 13, 18)).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


# --- models of torchvision, at twenty odd sizes


def check_against_hand(model: nn.Module, multiple: int, sizes: list[tuple[int, int]]) -> None:
    wrapped = AnySize(model.eval(), multiple=multiple)
    for height, width in sizes:
        x = torch.rand(1, 3, height, width)
        padded, _ = padded_by_hand(x, multiple, "replicate")
        with torch.no_grad():
            found, expected = wrapped(x), model(padded)
        assert list(found) == list(expected)
        for name, whole in expected.items():
            stride = round(padded.shape[2] / whole.shape[2])
            rows, columns = -(-height // stride), -(-width // stride)
            torch.testing.assert_close(found[name], whole[:, :, :rows, :columns], rtol=0, atol=0)


def test_a_feature_pyramid_is_that_of_padding_by_hand() -> None:
    check_against_hand(resnet_fpn_backbone(backbone_name="resnet18", weights=None), 32, ODD_SIZES)


def test_a_small_segmentation_model_is_that_of_padding_by_hand() -> None:
    check_against_hand(segmentation.lraspp_mobilenet_v3_large(weights_backbone=None), 16, ODD_SIZES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        segmentation.fcn_resnet50,
        segmentation.fcn_resnet101,
        segmentation.deeplabv3_resnet50,
        segmentation.deeplabv3_resnet101,
        segmentation.deeplabv3_mobilenet_v3_large,
    ],
)
def test_every_segmentation_model_is_that_of_padding_by_hand(make: Callable[..., nn.Module]) -> None:
    check_against_hand(make(weights_backbone=None, aux_loss=True), 32, ODD_SIZES)
