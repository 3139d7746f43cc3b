"""
What each resize policy does to an image
========================================

Three photographs, each with a box and a mask, go through every policy of :mod:`resizenet.transforms`, in training and
in evaluation. The text below each picture is the policy's own ``describe()``.

A policy's transforms take a whole sample, as all v2 transforms of torchvision do. Boxes and masks follow the image.
"""  # noqa: D205, D212, D415  # a page begins with its title

import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from resizenet import transforms

# %%
# The photographs
# ---------------
#
# A portrait panorama, a landscape and an image of 32 px, cut from two photographs of scikit-learn. The masks are
# thresholds: pixels darker than the sky around the roof, and pixels redder than the leaves around the flower. A box
# is drawn around each mask.


def make_sample(name, channel, inside, within, window):
    """Return the image, its mask and its box, cropped to ``window`` (top, left, height, width).

    The mask is empty outside ``within`` (left, top, right, bottom).
    """
    image = torch.tensor(load_sample_image(name)).permute(2, 0, 1)
    left, top, right, bottom = within
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[top:bottom, left:right] = inside(image[channel, top:bottom, left:right])
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    box = torch.tensor([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], dtype=torch.float32)
    sample = {
        "image": tv_tensors.Image(image),
        "mask": tv_tensors.Mask(mask),
        "box": tv_tensors.BoundingBoxes(box, format="XYXY", canvas_size=image.shape[1:]),
    }
    return {name: F.crop(value, *window) for name, value in sample.items()}


def tower(window):
    """Return the upper roof of a tower."""
    return make_sample("china.jpg", 2, lambda blue: blue < 190, (95, 28, 320, 140), window)


def flower(window):
    """Return a flower with most of its petals."""
    return make_sample("flower.jpg", 0, lambda red: red > 90, (165, 80, 450, 362), window)


photographs = {
    "portrait panorama": tower((0, 130, 427, 150)),
    "landscape": flower((0, 0, 427, 640)),
    "32 px": transforms.Stretch(32)(flower((60, 145, 324, 324))),
}


def draw(axes, sample, title):
    """Draw the image, the outline of its mask in white, its box in red, and the size."""
    height, width = sample["image"].shape[-2:]
    axes.imshow(sample["image"].permute(1, 2, 0).numpy())
    if sample["mask"].any() and not sample["mask"].all():
        axes.contour(sample["mask"].numpy(), levels=[0.5], colors="white", linewidths=1)
    for left, top, right, bottom in sample["box"].tolist():
        axes.add_patch(
            Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor="red", linewidth=1.5)
        )
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(f"{title}, {height}x{width}", fontsize=8.5)


figure, axes = plt.subplots(1, 3, figsize=(8, 3.4), layout="constrained")
figure.suptitle("A tower, a flower, and the flower in 32 px, each with a mask and a box", fontsize=10)
for panel, (name, photograph) in zip(axes, photographs.items(), strict=True):
    draw(panel, photograph, name)

# %%
# How a policy is shown
# ---------------------
#
# Each row has one photograph: as it is, in two draws of the training transform, and in evaluation.


def show(policy, caption, of_size=None):
    """Draw every photograph through a policy; ``of_size`` makes a policy from the photograph's size instead."""
    figure, axes = plt.subplots(3, 4, figsize=(8, 7), layout="constrained", width_ratios=[1.25, 1, 1, 1])
    figure.suptitle(caption, fontsize=10)
    figure.supxlabel(policy.describe(), family="monospace", fontsize=8, x=0.01, horizontalalignment="left")
    for row, (name, photograph) in zip(axes, photographs.items(), strict=True):
        chosen = of_size(photograph["image"].shape[-2:]) if of_size else policy
        draw(row[0], photograph, name)
        draw(row[1], chosen.train()(photograph), "training")
        draw(row[2], chosen.train()(photograph), "training")
        draw(row[3], chosen.eval()(photograph), "evaluation")


torch.manual_seed(0)

# %%
# Native
# ------
#
# For data sets of one small size. Training pads the image with black and crops it to its own size, so objects move
# and keep their size. Evaluation leaves it unchanged. Each photograph has a policy of its own size here.
show(
    transforms.NativePolicy(32),
    "Native: training shifts the image and shows black at its edges, evaluation shows the image itself",
    lambda size: transforms.NativePolicy(size, padding=max(size) // 8),
)

# %%
# Upscale
# -------
#
# For small images and a network made for large ones. Objects keep their shape. Parts that do not fit are cut off:
# most of a panorama.
show(
    transforms.UpscalePolicy(96),
    "Upscale: a square part of the tower and of the flower, all of the small image, enlarged",
)

# %%
# Stretch
# -------
#
# Nothing is cut off and nothing is filled, but objects change their shape.
show(
    transforms.StretchPolicy(96),
    "Stretch: everything is in the picture, the tower flat and the flower narrow",
)

# %%
# Letterbox
# ---------
#
# Everything is visible in its own shape, and the rest of the canvas is filled. Small images are not enlarged unless
# ``upscale=True``. :meth:`resizenet.transforms.Letterbox.inverse` maps the boxes and masks that a model finds back to
# the source.
show(
    transforms.LetterboxPolicy(96, fill=114),
    "Letterbox: everything in its shape, between gray bars; the small image in a gray frame",
)

# %%
# Random resized crop
# -------------------
#
# Training takes crops of random area and aspect ratio; evaluation takes the center. Objects look larger in training
# than in evaluation, which costs accuracy. The policy says by how much, and which evaluation size compensates. A crop
# may miss the object of a box.
show(
    transforms.RandomResizedCropPolicy(96),
    "Random resized crop: training shows small parts, enlarged and a little stretched, evaluation the middle",
)

# %%
# The same policy with the evaluation size that it suggested:
show(
    transforms.RandomResizedCropPolicy(96, eval_size=transforms.suggest_eval_size(96)),
    "Random resized crop, evaluated larger: on average, objects look as large as in training",
)

# %%
# Keep ratio
# ----------
#
# Training is milder: the image is resized to cover the size, with a little zoom and a little stretch. If the stretch
# leaves a side too short, the side is filled. Here every image is zoomed and stretched; by default, half of them are
# zoomed and half are stretched.
show(
    transforms.KeepRatioPolicy(96, scale_probability=1.0, ratio_probability=1.0),
    "Keep ratio: training differs little from evaluation; thin black bars where an image was stretched",
)

# %%
# BiT-HyperRule
# -------------
#
# Training stretches the image and then crops it at random. Evaluation only stretches it, so objects look smaller.
show(
    transforms.BiTHyperRulePolicy(96, 120),
    "BiT-HyperRule: the whole image, stretched, in evaluation, and four fifths of each side in training",
)

plt.show()
