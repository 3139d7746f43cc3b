"""Which name of a wrapped model does what: images under their own names, sizes per call, features, saving."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, ResNetConfig, ResNetForImageClassification

import resizenet as rn
from resizenet import FixedResizer, LinearResizer, ResizedModel, Resizer
from resizenet.resizers._wrap import SAVES, TAKES_IMAGES

HF = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=3)


def shrunk(x: Tensor, size: int) -> Tensor:
    return torchvision.transforms.v2.functional.resize(x, [size, size], antialias=True)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 41, 47)


@pytest.fixture(scope="module")
def hf() -> nn.Module:
    return ResNetForImageClassification(HF).eval()


# --- forward


@pytest.mark.parametrize("name", ["pixel_values", "picture", "x"])
def test_images_may_be_passed_under_a_name(name: str, images: Tensor) -> None:
    class Model(nn.Module):
        def forward(self, picture: Tensor, scale: float = 1) -> Tensor:
            return scale * picture

    class Vision(nn.Module):
        def forward(self, pixel_values: Tensor, scale: float = 1) -> Tensor:
            return scale * pixel_values

    model = FixedResizer(17).wrap(Vision() if name == "pixel_values" else Model())
    torch.testing.assert_close(model(**{name: images}, scale=3), 3 * shrunk(images, 17))


def test_a_model_of_transformers_takes_its_own_names(hf: nn.Module, images: Tensor) -> None:
    wrapped = FixedResizer(32).wrap(hf)
    found = wrapped(pixel_values=images, labels=torch.tensor([0, 2]))
    expected = hf(pixel_values=shrunk(images, 32), labels=torch.tensor([0, 2]))
    torch.testing.assert_close(found.logits, expected.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.loss, expected.loss, rtol=0, atol=1e-5)


def test_pixel_values_are_the_images_even_if_text_comes_first(images: Tensor) -> None:
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**text, "image_size": 32, "patch_size": 16}
    clip = CLIPModel(CLIPConfig(text_config={**text, "vocab_size": 50}, vision_config=vision, projection_dim=8)).eval()
    words = {"input_ids": torch.tensor([[1, 2, 49]]), "attention_mask": torch.ones(1, 3, dtype=torch.long)}
    found = FixedResizer(32).wrap(clip)(**words, pixel_values=images)
    torch.testing.assert_close(found.image_embeds, clip(**words, pixel_values=shrunk(images, 32)).image_embeds)


def test_no_images_are_an_error() -> None:
    with pytest.raises(rn.DtypeError, match=r"ResizedModel: expected images as the first argument.*got \['labels'\]"):
        FixedResizer(8).wrap(nn.Identity())(labels=torch.zeros(2))


@pytest.mark.parametrize("size", [23, (19, 31)])
def test_a_call_may_have_its_own_size(size: Any, images: Tensor) -> None:
    wrapped = FixedResizer(17).wrap(nn.Identity())
    height, width = (size, size) if isinstance(size, int) else size
    assert wrapped(images, size=size).shape == (2, 3, height, width)
    assert wrapped(images).shape == (2, 3, 17, 17)


def test_a_resizer_that_takes_no_size_is_called_without_one(images: Tensor) -> None:
    assert ResizedModel(nn.AvgPool2d(2), nn.Identity())(images).shape == (2, 3, 20, 23)


@pytest.mark.parametrize(
    "make", [FixedResizer, LinearResizer, rn.LaplacianResizer, Resizer, lambda n: Resizer(n).fuse()]
)
def test_the_size_of_a_resizer_can_be_set(make: Any, images: Tensor) -> None:
    resizer = make(17).eval()
    resizer.size = 23
    assert resizer.size == (23, 23)
    assert resizer(images).shape == (2, 3, 23, 23)
    for wrong in (0, "large", (1, 2, 3), 7.5):
        with pytest.raises(rn.SizeError, match="size: expected"):
            resizer.size = wrong
    assert resizer.size == (23, 23)
    assert "size=(23, 23)" in repr(resizer)


# --- methods that take images


def test_features_are_those_of_the_resized_images(images: Tensor) -> None:
    model = timm.create_model("resnet18", pretrained=False).eval()
    wrapped = FixedResizer(64).wrap(model)
    torch.testing.assert_close(wrapped.forward_features(images), model.forward_features(shrunk(images, 64)))
    found = wrapped.forward_intermediates(images, indices=2, intermediates_only=True)
    expected = model.forward_intermediates(shrunk(images, 64), indices=2, intermediates_only=True)
    torch.testing.assert_close(found, expected)
    assert wrapped.forward_features(x=images, size=128).shape == (2, 512, 4, 4)
    features = wrapped.forward_features(images)
    torch.testing.assert_close(wrapped.forward_head(features), wrapped(images))


@pytest.mark.parametrize("name", TAKES_IMAGES)
def test_every_method_that_takes_images_resizes_them(name: str, images: Tensor) -> None:
    model = nn.Identity()
    setattr(model, name, lambda pixel_values, factor=1: factor * pixel_values)
    wrapped = FixedResizer(17).wrap(model)
    expected = 2 * shrunk(images, 17)
    torch.testing.assert_close(getattr(wrapped, name)(images, 2), expected)
    torch.testing.assert_close(getattr(wrapped, name)(pixel_values=images, factor=2), expected)


def test_a_layer_of_such_a_name_is_the_layer() -> None:
    model = nn.Module()
    model.extract_features = nn.Conv2d(3, 4, 1)
    assert FixedResizer(17).wrap(model).extract_features is model.extract_features


# --- saving


@pytest.mark.parametrize("name", SAVES)
def test_saving_the_model_alone_is_refused_with_the_remedy(name: str) -> None:
    model = nn.Identity()
    setattr(model, name, lambda path: None)
    wrapped = FixedResizer(17).wrap(model)
    with pytest.raises(rn.UnsupportedModelError, match=f"{name} of Identity would save the model without the resizer"):
        getattr(wrapped, name)("folder")
    assert not hasattr(wrapped, name)
    assert getattr(wrapped.model, name) is not None


def test_a_model_without_the_method_has_no_such_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'save_pretrained'"):
        FixedResizer(17).wrap(nn.Identity()).save_pretrained("folder")


def test_the_remedy_saves_every_tensor(hf: nn.Module, tmp_path: Any) -> None:
    wrapped = Resizer(32).wrap(hf)
    with pytest.raises(rn.UnsupportedModelError, match=r"wrapped\.model\.save_pretrained\(\)"):
        wrapped.save_pretrained(tmp_path)
    wrapped.model.save_pretrained(tmp_path)
    torch.save(wrapped.resizer.state_dict(), tmp_path / "resizer.pt")
    saved = {f"model.{key}" for key in load_file(tmp_path / "model.safetensors")}
    saved |= {f"resizer.{key}" for key in torch.load(tmp_path / "resizer.pt", weights_only=True)}
    assert saved == set(wrapped.state_dict())


# --- what the Trainer of transformers asks


class TakesAnything(nn.Module):
    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        return x


class SaysNo(TakesAnything):
    accepts_loss_kwargs = False


@pytest.mark.parametrize(("model", "expected"), [(nn.Identity(), False), (TakesAnything(), True), (SaysNo(), False)])
@pytest.mark.parametrize(
    "wrap", [lambda model: FixedResizer(8).wrap(model), lambda model: rn.AnySize(model, multiple=4)]
)
def test_loss_arguments_are_accepted_if_the_model_accepts_them(model: nn.Module, expected: bool, wrap: Any) -> None:
    assert wrap(model).accepts_loss_kwargs is expected
