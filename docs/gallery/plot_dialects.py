"""
Whose resize is it?
===================

A thin circle is made smaller by the resizes of several libraries, and the weights behind each result are drawn. The
libraries themselves are not needed: ``like=`` of :func:`resizenet.functional.resize` reproduces them.
"""  # noqa: D205, D212  # a page begins with its title

import torch
from matplotlib import pyplot as plt

from resizenet.functional import resize, resize_matrix

# %%
# A circle, 8 times smaller
# -------------------------
#
# The circle is 256 px wide with a line of 2 px. At 32 px a resize that reads all pixels gives an even gray line. A
# resize that reads two of eight pixels on each axis breaks the line into dots and gaps, which a network has never seen
# if it was trained with the other kind. The figure follows Parmar et al. 2022 (arXiv 2104.11222), figure 2.

RULES = {
    "Pillow": ("pillow", "bilinear"),
    "torch, antialias": ("torch", "bilinear"),
    "MATLAB": ("matlab", "bilinear"),
    "scikit-image": ("scikit-image", "bilinear"),
    "OpenCV area": ("opencv", "area"),
    "OpenCV linear": ("opencv", "linear"),
    "TensorFlow": ("tensorflow", "bilinear"),
    "ONNX": ("onnx", "linear"),
    "OpenCV cubic": ("opencv", "cubic"),
    "OpenCV nearest": ("opencv", "nearest"),
}
position = torch.arange(256) + 0.5 - 128
radius = (position[:, None].square() + position.square()).sqrt()
circle = torch.where((radius - 104).abs() < 1, 0, 255).to(torch.uint8)[None, None]

figure, axes = plt.subplots(2, 5, figsize=(9, 4.1), layout="constrained")
for panel, (title, (like, interpolation)) in zip(axes.flat, RULES.items(), strict=True):
    result = resize(circle, 32, interpolation=interpolation, like=like)
    panel.imshow(result[0, 0].numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    panel.set_title(title, fontsize=9)
    panel.set_axis_off()
    print(f"{title}: the darkest pixel has the level {result.min()}")
figure.suptitle("A circle of 256 px resized to 32 px: the first five libraries antialias, the others do not by default")
plt.show()

# %%
# The weights
# -----------
#
# Each line shows the weights of one output pixel for a resize from 32 to 8 px, which ``resize_matrix`` returns. The
# output pixel covers the gray area. The kernels of Pillow and MATLAB grow with the factor, and those of OpenCV do not.

kernels = {
    "bilinear": {"Pillow": ("pillow", "bilinear"), "OpenCV": ("opencv", "linear"), "OpenCV area": ("opencv", "area")},
    "bicubic": {
        "Pillow, a = -0.5": ("pillow", "bicubic"),
        "OpenCV, a = -0.75": ("opencv", "cubic"),
        "TensorFlow, a = -0.5": ("tensorflow", "bicubic"),
    },
    "nearest": {
        "Pillow": ("pillow", "nearest"),
        "OpenCV": ("opencv", "nearest"),
        "MATLAB, antialias": ("matlab", "nearest"),
    },
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", sharey=True)
for panel, (title, rules) in zip(axes, kernels.items(), strict=True):
    panel.axvspan(11.5, 15.5, color="0.92")
    for (name, (like, interpolation)), marker in zip(rules.items(), "os^", strict=True):
        antialias = True if like == "matlab" else None
        row = resize_matrix(32, 8, interpolation=interpolation, like=like, antialias=antialias)[3]
        panel.plot(range(6, 22), row[6:22].numpy(), marker=marker, markersize=4, linewidth=1, label=name)
    panel.set_title(title, fontsize=10)
    panel.set_xlabel("input pixel")
    panel.legend(fontsize=7)
axes[0].set_ylabel("weight")
figure.suptitle("The weights of one output pixel of a resize from 32 to 8 px; the gray area is the output pixel")
plt.show()
