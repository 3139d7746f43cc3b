"""
What adapt does to the first convolution
========================================

:func:`resizenet.adapt` gives a network made for 224 px a first convolution for small images, and computes its filters
from the old ones. This page shows eight filters of 7x7 pixels, what each method makes of them, and which of the new
filters respond to a small photograph as the old ones do to a large one.
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
# Trained first layers have filters for edges in several directions, stripes and blobs of color. The ones here are
# made by hand: Gabor functions and Gaussians, each in one pair of opposite colors.


def gabor(degrees, wavelength, phase, color, width=1.6):
    """Return (3, 7, 7): a wave along a direction under a Gaussian, with no response to a constant image.

    Phase 0 makes a stripe, 90 degrees an edge.
    """
    rows, columns = torch.meshgrid(torch.arange(-3.0, 4), torch.arange(-3.0, 4), indexing="ij")
    direction, shift = torch.deg2rad(torch.tensor([degrees, phase]))
    wave = torch.cos(2 * torch.pi / wavelength * (columns * direction.cos() + rows * direction.sin()) - shift)
    window = torch.exp(-(rows**2 + columns**2) / (2 * width**2))
    pattern = window * (wave - (window * wave).sum() / window.sum())
    return torch.tensor(color)[:, None, None] * pattern / pattern.norm()


gray, red_green, blue_yellow = (1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (-0.6, -0.6, 1.2)
filters = torch.stack([
    *(gabor(degrees, 8, 90, gray) for degrees in (0, 45, 90, 135)),
    gabor(90, 3.5, 0, gray),
    gabor(20, 5, 0, gray),
    gabor(0, 10, 0, red_green, width=2.2),
    gabor(60, 8, 90, blue_yellow),
])  # fmt: skip

# %%
# The same filters in every stem
# ------------------------------
#
# The filters go into a ResNet-18, and ``adapt`` computes the others. "center" cuts out the middle. "area" sums the
# pixels that a new one covers. "pinv" responds to a 3x3 patch as the old filter does to that patch enlarged to 7x7.
# "fold" is the old filter behind an upscaling by 2, which makes it 5x5. All of them map a 32 px image to 32x32
# positions, as the old stem does a 64 px image.
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
    """Scale (3, k, k) to an image: zero is gray, the largest value has full strength."""
    return (0.5 + 0.5 * weight / weight.abs().max()).permute(1, 2, 0).detach().numpy()


figure, axes = plt.subplots(5, 8, figsize=(8, 5.9), layout="constrained")
figure.suptitle("Eight filters in rows: 7x7, folded to 5x5, and the three ways to 3x3", fontsize=10)
for row, (name, convolution) in zip(axes, stems.items(), strict=True):
    row[0].set_title(name, loc="left", fontsize=9)
    for panel, weight in zip(row, convolution.weight[:8], strict=True):
        panel.imshow(picture(weight))
        panel.set(xticks=[], yticks=[])

# %%
# Each filter is drawn at full strength; zero is gray. "center" keeps the scale of a pattern and drops what lies
# outside: if a filter has a stripe and its neighbors, only the stripe remains. "area" and "pinv" keep the pattern and
# shrink it; they hardly differ for such filters. "fold" shrinks it by 2. Its center is shifted by a quarter of a
# pixel, like the center of a 7x7 window with stride 2 on an upscaled image.
#
# Their responses
# ---------------
#
# A photograph of 32 px goes through each of them, and the same photograph upscaled to 64 px through the old stem.
# "fold" gives the same response up to rounding, because upscaling and convolution are both linear. This holds away
# from the border. The two outer rows and columns are left out here, because one path pads the large image with zeros
# and the other the small one.
photograph = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[None, :, :, 100:527] / 127.5 - 1
small = functional.resize(photograph, 32)
inside = (slice(None, 8), slice(2, -2), slice(2, -2))
with torch.no_grad():
    expected = model.conv1(functional.resize(small, 64))[0][inside]
    responses = {
        name: convolution(small)[0][inside] for name, convolution in stems.items() if convolution is not model.conv1
    }
for name, response in responses.items():
    difference = response - expected
    share = difference.norm() / expected.norm()
    print(f"{name:28} largest difference {difference.abs().max():.2g}, {share:.0%} of the norm")

# %%
# The responses of the second filter, an edge:
figure, axes = plt.subplots(1, 5, figsize=(8, 2.3), layout="constrained")
figure.suptitle(
    "One filter's responses: fold equals the old stem, pinv and area are similar, center is fainter", fontsize=10
)
for panel, (name, response) in zip(axes, {"7x7, upscaled image": expected, **responses}.items(), strict=True):
    panel.imshow(response[1].numpy(), cmap="gray", vmin=-4, vmax=4)
    panel.set(xticks=[], yticks=[])
    panel.set_xlabel(name.replace(", ", "\n"), fontsize=8.5)

# %%
# "center" is not meant to give this response. It responds to the small photograph as the old filter would without
# enlarging it. :doc:`/measured/resizing` measures what a trained network keeps with each of these stems.

plt.show()
