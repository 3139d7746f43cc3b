"""
What adapt does to the first convolution
========================================

:func:`resizenet.adapt` gives a network for 224 px a first convolution for small images, and makes its filters out of the old ones. Here are eight
filters of 7x7 pixels, what each way makes of them, and which of the new filters answer a small photograph as the old ones did a large one.
"""  # noqa: D205, D212, D415  # a page begins with its title

import torch
import torchvision
from matplotlib import pyplot as plt
from sklearn.datasets import load_sample_image

from resizenet import adapt, functional

# %%
# Filters
# -------
#
# Trained first layers hold edges of several directions, stripes and blobs of colour. These are made by hand: Gabor functions and Gaussians, each
# in one pair of opposite colours.


def gabor(degrees, wavelength, phase, colour, width=1.6):
    """(3, 7, 7): a wave along a direction, phase 0 for a stripe and 90 degrees for an edge, under a Gaussian; no answer to a constant image."""
    rows, columns = torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-3.0, 4), indexing="ij")
    direction, shift = torch.deg2rad(torch.tensor([degrees, phase]))
    wave = torch.cos(2 * torch.pi / wavelength * (columns * direction.cos() + rows * direction.sin()) - shift)
    window = torch.exp(-(rows**2 + columns**2) / (2 * width**2))
    pattern = window * (wave - (window * wave).sum() / window.sum())
    return torch.tensor(colour)[:, None, None] * pattern / pattern.norm()


grey, red_green, blue_yellow = (1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (-0.6, -0.6, 1.2)
filters = torch.stack([
    *(gabor(degrees, 8, 90, grey) for degrees in (0, 45, 90, 135)),
    gabor(90, 3.5, 0, grey),
    gabor(20, 5, 0, grey),
    gabor(0, 10, 0, red_green, width=2.2),
    gabor(60, 8, 90, blue_yellow),
])  # fmt: skip

# %%
# The same filters in every stem
# ------------------------------
#
# The filters go into a ResNet-18, and ``adapt`` makes the others: "center" cuts out the middle, "area" joins the pixels that a new one covers,
# "pinv" answers a 3x3 patch as the old filter answers that patch enlarged to 7x7, and "fold" is the old filter behind an upscaling by 2, which makes
# 5x5. All answer a 32 px image with a map of 32x32 cells, as the old stem answers 64 px.
model = torchvision.models.resnet18()
with torch.no_grad():
    model.conv1.weight[:8] = filters

stems = {"7x7, as it was": model.conv1}
stems |= {'5x5, stem="fold"': adapt(model, 32, stem="fold").conv1}
stems |= {
    f'3x3, stem_weights="{name}"': adapt(model, 32, stem="cifar", stem_weights=name).conv1
    for name in ("pinv", "area", "center")
}


def picture(weight):
    """(3, k, k) with zero as grey, the largest value at full strength."""
    return (0.5 + 0.5 * weight / weight.abs().max()).permute(1, 2, 0).detach().numpy()


figure, axes = plt.subplots(5, 8, figsize=(8, 5.9), layout="constrained")
figure.suptitle("Eight filters in rows: 7x7, folded to 5x5, and the three ways to 3x3", fontsize=10)
for row, (name, convolution) in zip(axes, stems.items(), strict=True):
    row[0].set_title(name, loc="left", fontsize=9)
    for panel, weight in zip(row, convolution.weight[:8], strict=True):
        panel.imshow(picture(weight))
        panel.set(xticks=[], yticks=[])

# %%
# Each is drawn at full strength, zero as grey. "center" keeps the scale of a pattern and loses what lies outside: of a stripe with its neighbours the
# stripe is left. "area" and "pinv" keep the pattern and shrink it, and hardly differ for such filters. "fold" shrinks it by 2; its middle lies a
# quarter of a pixel off, as that of a 7x7 window with stride 2 does on an upscaled image.
#
# What they answer
# ----------------
#
# A photograph of 32 px through each of them, beside the old stem on the same photograph upscaled to 64 px. "fold" gives that answer but for
# rounding, as upscaling and convolution are both linear. It does so away from the border: in the two outer rows and columns, which are left out here,
# one pads the large image with zeros and the other the small one.
photograph = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[None, :, :, 100:527] / 127.5 - 1
small = functional.resize(photograph, 32)
inside = (slice(None, 8), slice(2, -2), slice(2, -2))
with torch.no_grad():
    expected = model.conv1(functional.resize(small, 64))[0][inside]
    answers = {
        name: convolution(small)[0][inside] for name, convolution in stems.items() if convolution is not model.conv1
    }
for name, answer in answers.items():
    difference = answer - expected
    print(
        f"{name:28} largest difference {difference.abs().max():.2g}, {difference.norm() / expected.norm():.0%} of the norm"
    )

# %%
# The answers of the second filter, an edge:
figure, axes = plt.subplots(1, 5, figsize=(8, 2.3), layout="constrained")
figure.suptitle("One filter's answers: fold as the old stem, pinv and area much alike, center fainter", fontsize=10)
for panel, (name, answer) in zip(axes, {"7x7, upscaled image": expected, **answers}.items(), strict=True):
    panel.imshow(answer[1].numpy(), cmap="gray", vmin=-4, vmax=4)
    panel.set(xticks=[], yticks=[])
    panel.set_xlabel(name.replace(", ", "\n"), fontsize=8.5)

# %%
# "center" is not meant to give this answer: it answers the small photograph as the old filter would without enlarging it. What a trained
# network keeps with each of these stems, and what that is worth, is measured in :doc:`/measured/resizing`.

plt.show()
