"""Test adapted models with the tools of timm, transformers and torch.compile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import resizenet as rn
from resizenet.surgery import plan

TV = torchvision.models
SMALL_TIMM = ("test_efficientnet", "regnety_002", "mobilenetv4_conv_small_035", "convnext_atto")


@pytest.mark.parametrize("name", SMALL_TIMM)
@pytest.mark.parametrize("side", [32, 64])
def test_timm_models_know_the_strides_of_their_maps(name: str, side: int) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=5).eval()
    adapted = rn.adapt(model, side)
    measured: dict[str, int] = {}
    for info in adapted.feature_info:
        path = info["module"]
        adapted.get_submodule(path).register_forward_hook(
            lambda module, args, out, path=path: measured.__setitem__(path, side // out.shape[-1])
        )
    adapted(torch.empty(1, 3, side, side, device="meta"))
    assert {info["module"]: info["reduction"] for info in adapted.feature_info} == measured
    assert [info["reduction"] for info in model.feature_info][-1] == 32


@pytest.mark.parametrize("name", ["test_efficientnet", "regnety_002"])
def test_adapted_timm_models_keep_their_methods(name: str) -> None:
    adapted = rn.adapt(timm.create_model(name, num_classes=5), 32, num_classes=7, in_channels=1)
    assert adapted.get_classifier().out_features == adapted.num_classes == 7
    adapted.set_grad_checkpointing()
    adapted(torch.rand(2, 1, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in adapted.parameters())
    adapted.reset_classifier(3)
    assert adapted(torch.rand(2, 1, 32, 32)).shape == (2, 3)
    assert adapted.forward_features(torch.rand(2, 1, 32, 32)).shape[2:] == (4, 4)


def hugging_face(name: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    options = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "num_labels": 5}
    if name == "resnet":
        config = transformers.ResNetConfig(embedding_size=8, **options)
        return transformers.ResNetForImageClassification(config)
    return transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**options))


@pytest.mark.parametrize("name", ["resnet", "convnext"])
def test_models_of_transformers_train_on_small_images(name: str) -> None:
    model = hugging_face(name)
    adapted = rn.adapt(model, 32, num_classes=7, in_channels=1)
    out = adapted(torch.rand(2, 1, 32, 32), labels=torch.tensor([0, 6]), output_hidden_states=True)
    out.loss.backward()
    assert out.logits.shape == (2, 7)
    assert out.hidden_states[-1].shape[2:] == (4, 4)
    assert (adapted.config.num_labels, adapted.config.num_channels) == (7, 1)
    assert (model.config.num_labels, model.config.num_channels) == (5, 3)


COMPILED: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v2": lambda: TV.mobilenet_v2(num_classes=5),
    "shufflenet": lambda: TV.shufflenet_v2_x0_5(num_classes=5),
    "squeezenet": lambda: TV.squeezenet1_1(num_classes=5),
    "regnet": lambda: timm.create_model("regnety_002", num_classes=5),
    "convnext": lambda: timm.create_model("convnext_atto", num_classes=5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_adapted_models_compile_in_one_graph(name: str) -> None:
    adapted, image = rn.adapt(COMPILED[name](), 32).eval(), torch.rand(2, 3, 32, 32)
    compiled = torch.compile(adapted, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image), adapted(image), rtol=1e-4, atol=1e-4)


class Asserts(nn.Module):
    """Checks the size of its images, as transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 16, 16), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[-1] == 224, "expected 224 px"
        return self.fc(self.conv(x).mean((2, 3)))


def test_a_forward_that_checks_its_size_is_named() -> None:
    with pytest.raises(
        rn.UnsupportedModelError, match=r"^(?s:adapt: Asserts cannot take an image of .*: expected 224 px\b.*)"
    ):
        plan(Asserts(), 32)
