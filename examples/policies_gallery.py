"""What does each resize policy do to my images? Draws three photographs, in training and in evaluation, with their boxes and masks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from resizenet import transforms as T

mpl.use("Agg")  # draws to a file, without a screen
from matplotlib import pyplot as plt

Sample = dict[str, Any]
SIZE = 96
POLICIES: dict[str, Callable[[tuple[int, int]], T.ResizePolicy]] = {  # each from the size of the photograph, which only the native one needs
    "Native": lambda size: T.NativePolicy(size, padding=max(size) // 8),
    "Upscale": lambda size: T.UpscalePolicy(SIZE),
    "Stretch": lambda size: T.StretchPolicy(SIZE),
    "Letterbox": lambda size: T.LetterboxPolicy(SIZE, fill=114),
    "RandomResizedCrop": lambda size: T.RandomResizedCropPolicy(SIZE, scale=(0.2, 1.0)),
    "KeepRatio": lambda size: T.KeepRatioPolicy(SIZE, scale_probability=1.0, ratio_probability=1.0),
    "BiTHyperRule": lambda size: T.BiTHyperRulePolicy(SIZE, SIZE * 160 // 128),
}


def sample(image: Tensor, inside: Tensor) -> Sample:
    """An image (3, H, W), the mask of its object (H, W), and the box around the mask."""
    rows, columns = inside.any(1).nonzero(), inside.any(0).nonzero()
    box = [[int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]]
    return {
        "image": tv_tensors.Image(image),
        "mask": tv_tensors.Mask(inside),
        "boxes": tv_tensors.BoundingBoxes(torch.tensor(box, dtype=torch.float32), format="XYXY", canvas_size=tuple(inside.shape)),
    }


def within(inside: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """The mask, cut to a box (left, top, right, bottom)."""
    left, top, right, bottom = box
    cut = torch.zeros_like(inside)
    cut[top:bottom, left:right] = inside[top:bottom, left:right]
    return cut


def photographs() -> dict[str, Sample]:
    """scikit-learn's two, as a portrait panorama, a landscape and a 32 px image."""
    china, flower = (torch.tensor(load_sample_image(name)).permute(2, 0, 1) for name in ("china.jpg", "flower.jpg"))
    tower = sample(china, within(china[2] < 190, (95, 28, 320, 140)))  # darker than the sky, around the upper roof
    blossom = sample(flower, within(flower[0] > 90, (165, 80, 450, 362)))
    tall = crop(tower, 0, 130, 427, 150)
    small = T.Stretch(32)(crop(blossom, 60, 145, 324, 324))
    return {"portrait panorama": tall, "landscape": blossom, "32 px": small}


def crop(whole: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Everything in the sample, cropped."""
    return {name: F.crop(value, top, left, height, width) for name, value in whole.items()}


def draw(axis: Axes, shown: Sample) -> None:
    """The image, the mask's outline and the box."""
    image, mask = shown["image"], shown["mask"]
    axis.imshow(image.permute(1, 2, 0).numpy())
    if mask.any() and not mask.all():
        axis.contour(mask.float().numpy(), levels=[0.5], colors="white", linewidths=0.8)
    for left, top, right, bottom in shown["boxes"].tolist():
        axis.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor="red", linewidth=1.2))
    axis.set(xticks=[], yticks=[], xlabel=f"{image.shape[-2]}x{image.shape[-1]}")


def gallery(out: Path, seed: int) -> None:
    """Photographs down, in training and in evaluation; policies across, with how large objects look in evaluation over training."""
    photos = photographs()
    figure, axes = plt.subplots(2 * len(photos), 1 + len(POLICIES), figsize=(2 * (1 + len(POLICIES)), 4.4 * len(photos)), layout="constrained")
    torch.manual_seed(seed)
    for number, (title, photo) in enumerate(photos.items()):
        for half, name in enumerate(("train", "eval")):
            line = axes[2 * number + half]
            draw(line[0], photo)
            line[0].set_ylabel(f"{title}\n{name}")
            for axis, make in zip(line[1:], POLICIES.values(), strict=True):
                draw(axis, getattr(make(tuple(photo["image"].shape[-2:])), name)()(photo))
    axes[0, 0].set_title("source", fontsize="medium")
    for axis, (name, make) in zip(axes[0, 1:], POLICIES.items(), strict=True):
        axis.set_title(f"{name}\n{make((SIZE, SIZE)).apparent_size_ratio():.2f} x as large in eval", fontsize="medium")
    figure.savefig(out, dpi=90)


def main() -> None:
    """Parse the command line, describe the policies and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("policies.png"), help="where the picture goes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the training draws (default: %(default)s)")
    options = parser.parse_args()
    for make in POLICIES.values():
        print(make((SIZE, SIZE)).describe(), end="\n\n")
    gallery(options.out, options.seed)
    print(f"The picture: {options.out}")


if __name__ == "__main__":
    sys.exit(main())
