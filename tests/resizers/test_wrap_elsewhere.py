"""Wrapping models that are not ours: torchvision's, timm's, and under DistributedDataParallel."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from resizenet import FixedResizer, LaplacianResizer, LinearResizer, Resizer

MODELS: dict[str, Callable[[], nn.Module]] = {
    "resnet50": torchvision.models.resnet50,
    "vit_b_16": torchvision.models.vit_b_16,
    "timm convnext_atto": lambda: timm.create_model("convnext_atto", pretrained=False),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_wrapped_model_starts_with_the_logits_of_the_antialiased_resize(make: Callable[[], nn.Module]) -> None:
    backbone = make().eval()
    x = torch.rand(2, 3, 300, 331)
    with torch.no_grad():
        expected = backbone(
            nn.functional.interpolate(x, (224, 224), mode="bilinear", align_corners=False, antialias=True)
        )
        for resizer in (
            Resizer(224),
            Resizer(224).fuse(),
            LinearResizer(224),
            LaplacianResizer(224),
            FixedResizer(224),
        ):
            torch.testing.assert_close(resizer.eval().wrap(backbone)(x), expected, rtol=0, atol=1e-5)


def test_timms_attributes_and_methods_are_within_reach() -> None:
    model = Resizer(32).wrap(timm.create_model("resnet18", pretrained=False, num_classes=7))
    assert model.default_cfg["architecture"] == "resnet18"
    assert model.num_features == 512
    model.reset_classifier(5)
    assert model(torch.rand(2, 3, 48, 40)).shape == (2, 5)
    assert model.forward_features(torch.rand(2, 3, 64, 64)).shape == (2, 512, 1, 1)  # resized to 32 px first


def _train_two_steps(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = nn.parallel.DistributedDataParallel(
        Resizer((7, 11), checkpoint=rank == 0).wrap(backbone)
    )  # both ways of training at once
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    images = torch.rand(4, 3, 13, 19)[2 * rank : 2 * rank + 2]
    for _ in range(2):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()
    torch.save({name: parameter.detach() for name, parameter in model.named_parameters()}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights_and_have_moved(tmp_path: Path) -> None:
    ranks = [subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in ranks] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)
    assert first["module.resizer.tail.weight"].abs().max() > 0


if __name__ == "__main__":
    _train_two_steps(int(sys.argv[1]), sys.argv[2])
