"""The modules and transforms that the contract tests run on, each with the shape of an image that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import resizenet as rn
from resizenet import transforms
from resizenet.models import BasicBlock

SIZE = (7, 11)


@dataclass(frozen=True)
class Case:
    """A module, and (C, H, W) of an image that it takes."""

    name: str
    make: Callable[[], nn.Module]
    image: tuple[int, int, int] = (3, 13, 19)

    def module(self) -> nn.Module:
        """The module in eval mode. Weights and statistics are random, so that no zero or identity hides a fault."""
        module = self.make().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_(0, 0.3)
            for name, buffer in module.named_buffers():
                if name.endswith("running_var"):
                    buffer.uniform_(0.5, 1.5)
                elif buffer.is_floating_point():
                    buffer.normal_(0, 0.3)
        return module

    def batch(self, size: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.rand(size, *self.image).to(dtype)


def small_resnet(stem: str = "cifar") -> nn.Module:
    return rn.models.ResNet(BasicBlock, (1, 1), (4, 8), stem=stem, num_classes=5)


FIXED = [  # without parameters to train
    Case("fixed", lambda: rn.FixedResizer(SIZE)),
    Case("fixed bicubic", lambda: rn.FixedResizer(SIZE, interpolation="bicubic", antialias=False)),
    Case("fixed upwards", lambda: rn.FixedResizer((23, 29), interpolation="bicubic")),
    Case("fused", lambda: rn.Resizer(SIZE, channels=5, num_blocks=2).fuse()),
    Case("fused with groups", lambda: rn.Resizer(SIZE, channels=4, norm="group", out_channels=2).fuse()),
    Case("fused linear", lambda: rn.LinearResizer(SIZE).fuse()),
    Case("fused linear, one convolution", lambda: rn.LinearResizer(SIZE).fuse(), (3, 14, 22)),
]
LEARNED = [
    Case("linear", lambda: rn.LinearResizer(SIZE)),
    Case(
        "linear to 5 channels",
        lambda: rn.LinearResizer(SIZE, in_channels=2, out_channels=5, oversample=3, kernel_size=5),
        (2, 23, 17),
    ),
    Case("learned", lambda: rn.Resizer(SIZE)),
    Case("learned upwards", lambda: rn.Resizer((23, 29), channels=5, num_blocks=2)),
    Case("learned far down", lambda: rn.Resizer(SIZE, channels=5), (3, 29, 17)),
    Case(
        "learned to 2 channels",
        lambda: rn.Resizer(SIZE, in_channels=5, out_channels=2, channels=4, norm="group"),
        (5, 13, 19),
    ),
    Case("learned without norm", lambda: rn.Resizer(SIZE, channels=4, norm="none")),
    Case("laplacian", lambda: rn.LaplacianResizer(SIZE)),
    Case("paper", lambda: rn.Resizer.paper(SIZE)),
]
MODELS = [
    Case("small stem", small_resnet),
    Case("large stem", lambda: small_resnet("imagenet"), (3, 29, 37)),
    Case("option A", lambda: rn.models.ResNet(BasicBlock, (1, 1), (4, 8), shortcut="pad")),
    Case("resized", lambda: rn.Resizer(SIZE, channels=4).wrap(small_resnet())),
    Case("adapted", lambda: rn.adapt(small_resnet("imagenet"), 32, in_channels=5, num_classes=7), (5, 13, 19)),
    Case("any size", lambda: rn.AnySize(small_resnet(), multiple=4)),
]
POLICIES = {
    "native": transforms.NativePolicy((13, 19), padding=2),
    "upscale": transforms.UpscalePolicy((17, 23)),
    "stretch": transforms.StretchPolicy((17, 11), interpolation="bicubic"),
    "letterbox": transforms.LetterboxPolicy((17, 29), upscale=True, fill=(0.1, 0.2, 0.3)),
    "crop": transforms.RandomResizedCropPolicy((11, 13), eval_size=(13, 17)),
    "keep ratio": transforms.KeepRatioPolicy((11, 13), eval_size=(13, 17), fill=0.5),
    "BiT": transforms.BiTHyperRulePolicy((11, 13), (13, 17)),
}
WHOLE_IMAGE = {"scale": (1, 1), "ratio": (19 / 13, 19 / 13)}  # with these every drawn crop is the image
BATCH_CROP = Case("batch crop of the whole image", lambda: transforms.BatchRandomResizedCrop(SIZE, **WHOLE_IMAGE))
EVAL_TRANSFORMS = [
    Case("cover", lambda: transforms.ResizeToCover(SIZE)),
    Case("stretched", lambda: transforms.Stretch(SIZE)),
    Case("fitted", lambda: transforms.FitWithin(SIZE)),
    Case("ratio kept", lambda: transforms.ResizeKeepRatio(SIZE, longest=0.5)),
    Case("letterboxed", lambda: transforms.Letterbox((8, 12), stride=4, position="top_left")),
    Case("square", lambda: transforms.PadToSquare(fill=0.5)),
    Case("padded", lambda: transforms.PadToMultiple((5, 7), position="center")),
    Case("batch", lambda: transforms.BatchResize(SIZE)),
    BATCH_CROP,
    *(Case(f"{name} eval", policy.eval) for name, policy in POLICIES.items()),
]
TRAIN_TRANSFORMS = [
    Case("jitter", lambda: transforms.ResizeKeepRatio(SIZE, scale=(0.5, 1), ratio=(0.8, 1.25))),
    Case("drawn", lambda: transforms.BatchResize(SIZE, interpolation=("bilinear", "bicubic"))),
    Case("batch crop", lambda: transforms.BatchRandomResizedCrop(SIZE, flip_probability=0.5)),
    *(Case(f"{name} train", policy.train) for name, policy in POLICIES.items()),
]
RESIZERS = [*FIXED, *LEARNED]
MODULES = [*RESIZERS, *MODELS]
TRANSFORMS = [*EVAL_TRANSFORMS, *TRAIN_TRANSFORMS]


def each(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])
