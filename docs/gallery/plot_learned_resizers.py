"""
What a learned resizer does to a photograph
===========================================

This page shows an untrained resizer, the published :class:`resizenet.LaplacianResizer`, and two resizers that are
trained here for a few seconds together with a small network. The pictures show what gradient descent adds to the
fixed resize. They cannot show whether a network classifies better; :doc:`/measured/resizing` measures that.
"""  # noqa: D205, D212, D415  # a page begins with its title

import copy

import torch
from matplotlib import pyplot as plt
from sklearn.datasets import load_sample_image
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from resizenet import FixedResizer, LaplacianResizer, LinearResizer, Resizer
from resizenet.models import BasicBlock, ResNet

photographs = torch.stack(
    [torch.tensor(load_sample_image(name)).permute(2, 0, 1) / 255 for name in ("china.jpg", "flower.jpg")]
)  # (2, 3, 427, 640)
roof = photographs[:1, :, 40:232, 150:406]  # (1, 3, 192, 256)
half = (96, 128)


def show(caption, images):
    """Draw named images (1, 3, H, W) side by side, clamped to [0, 1]."""
    figure, axes = plt.subplots(1, len(images), figsize=(8, 0.6 + 6 / len(images)), layout="constrained")
    figure.suptitle(caption, fontsize=10)
    for panel, (name, image) in zip(axes, images.items(), strict=True):
        panel.imshow(image[0].permute(1, 2, 0).clamp(0, 1).numpy())
        panel.set(xticks=[], yticks=[])
        panel.set_xlabel(name, fontsize=8.5)


# %%
# Before training
# ---------------
#
# :class:`resizenet.Resizer` starts as exactly the fixed, antialiased resize, because its last convolution is zero. In
# front of a trained model it changes no prediction.
with torch.no_grad():
    difference = Resizer(half).eval()(roof) - FixedResizer(half)(roof)
print(f"largest difference: {difference.abs().max():.1g}")

# %%
# The published Laplacian resizer
# -------------------------------
#
# It has a weight and a bias for each of two layers of detail. These values were trained with a ResNet-50 on ImageNet.
# The positive first weight weakens the finest detail. The negative second weight amplifies slightly coarser detail,
# so edges get far more contrast. The white rim comes from the zero padding of the published network;
# ``padding_mode="reflect"`` has none.
muller = LaplacianResizer.paper(half)
with torch.no_grad():
    plain, layered = FixedResizer(half, antialias=False)(roof), muller(roof)
print("weights:", *(f"{weight:.3f}" for weight in muller.weight.tolist()))
show(
    "The published Laplacian resizer: edges with more contrast, and a white rim",
    {"resize without layers": plain, "with two layers": layered, "difference, zero is gray": 0.5 + layered - plain},
)

# %%
# A task that needs detail
# ------------------------
#
# Patches of 32 px are halved to 16 px, and a small ResNet tells sharp patches from blurred ones. Most of the
# difference is in the detail that the fixed resize removes. As in section 4 of the paper, the network is first
# trained behind the fixed resize.
sharp = 2 * photographs - 1
sources = torch.stack([sharp, gaussian_blur(sharp, 5, 1.0)])  # (2, 2, 3, 427, 640)


def patches(count):
    """Return patches (count, 3, 32, 32) from random places and labels (count,): 0 is sharp, 1 is blurred."""
    blurred, photograph = torch.randint(2, (2, count))
    tops, lefts = (torch.randint(side - 31, (count,)).tolist() for side in sharp.shape[2:])
    return torch.stack(
        [sources[b, p, :, y : y + 32, x : x + 32] for b, p, y, x in zip(blurred, photograph, tops, lefts, strict=True)]
    ), blurred


def train(model, steps, resizer_lr=None):
    """Train with SGD and a one-cycle schedule; a learned resizer has its own learning rate."""
    optimizer = torch.optim.SGD(
        model.parameter_groups(0.05, resizer_lr=resizer_lr, weight_decay=5e-4), momentum=0.9, nesterov=True
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
    model.train()
    for _ in range(steps):
        images, labels = patches(64)
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


torch.manual_seed(0)
network = train(FixedResizer(16).wrap(ResNet(BasicBlock, (1, 1, 1), (8, 16, 32), num_classes=2)), 200).model

# %%
# What training makes of the residual
# -----------------------------------
#
# Then both are trained together. There are three pictures of each resizer: its output; its output with the mean and
# the contrast of the fixed resize, which makes the detail visible; and the difference between its output and the
# fixed resize, where zero is gray.
#
# The share of fine detail is the standard deviation of what a blur removes, divided by that of the whole image.


def restored(image, reference):
    """Give every channel the mean and the standard deviation that it has in the reference."""
    mean, deviation = (statistic(image, (2, 3), keepdim=True) for statistic in (torch.mean, torch.std))
    return (image - mean) / deviation * reference.std((2, 3), keepdim=True) + reference.mean((2, 3), keepdim=True)


def detail(image):
    """Return the share of fine detail."""
    return (image - gaussian_blur(image, 5, 1.0)).std() / image.std()


def compare(caption, resizer):
    """Draw the fixed resize, the learned one, the learned one with restored contrast, and the difference."""
    with torch.no_grad():
        fixed, learned = (each(2 * roof - 1, half) / 2 + 0.5 for each in (FixedResizer(16), resizer))
    print(f"fine detail: {detail(fixed):.0%} fixed, {detail(learned):.0%} learned")
    images = {"fixed resize": fixed, "learned": learned, "learned, contrast restored": restored(learned, fixed)}
    show(caption, {**images, "difference": 0.5 + learned - fixed})


# %%
# :class:`resizenet.LinearResizer` has one filter of 147 numbers and learns here at a tenth of the network's learning
# rate. Broad areas lose contrast and change color; BatchNorm evens that out, so the network is indifferent to it.
# Detail as fine as the tiles keeps its contrast, so it stands out.
linear = train(LinearResizer(16).wrap(copy.deepcopy(network)), 120, resizer_lr=0.005).resizer
compare("A trained LinearResizer: areas are fainter and in other colors, fine detail stands out", linear)

# %%
# :class:`resizenet.Resizer` has 12,035 parameters and learns here at a fiftieth of the network's learning rate.
# Contrast and color change more than detail does, edges get colored seams, and the zero padding shows at the border.
learned = train(Resizer(16).wrap(copy.deepcopy(network)), 60, resizer_lr=0.001).resizer
compare("A trained Resizer: other colors and contrast, and seams along edges", learned)

# %%
# What this shows, and what it does not
# -------------------------------------
#
# This is one short training on two photographs, for a task that was chosen because detail decides it. With four seeds
# the colors were different each time. The linear filter had more fine detail than the fixed resize every time; the
# network had a little more or as much. A picture that looks sharper is not a better input. Only the accuracy of the
# network behind it counts, compared with the fixed resize after the same training, as in :doc:`/measured/resizing`.
# :doc:`/guides/learned_resizer` says how to measure this on your own images.

plt.show()
