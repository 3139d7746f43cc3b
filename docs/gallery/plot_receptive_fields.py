"""
What a ResNet sees of a small image
===================================

The stages of ResNet-18 over one photograph at three sizes, and what the middle position of each feature map sees of
it. At 224 px, the size that the network was made for, the last map has 7x7 positions. At 32 px it has a single one,
and most of its receptive field is padding. :func:`resizenet.adapt` changes that.

The numbers are those of :func:`resizenet.report`. Its ``plot()`` draws the same without a photograph.
"""  # noqa: D205, D212, D415  # a page begins with its title

import torch
import torchvision
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from sklearn.datasets import load_sample_image

from resizenet import adapt, functional, report

photograph = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[
    None, :, :, 100:527
]  # a square, (1, 3, 427, 427)
model = torchvision.models.resnet18(num_classes=10)


def draw(axes, photograph, row):
    """Draw the photograph in input pixels, with the positions of the map.

    It is pale where the middle position of the map does not see it.
    """
    height, width = photograph.shape[-2:]
    top, left = (
        start + positions // 2 * stride
        for start, positions, stride in zip(row.field_start, row.output_map, row.stride, strict=True)
    )
    field = Rectangle(
        (left, top),
        row.receptive_field[1],
        row.receptive_field[0],
        facecolor="mistyrose",
        edgecolor="red",
        linewidth=2,
        zorder=-1,
    )
    axes.add_patch(field)
    for alpha in (0.3, 1):
        image = axes.imshow(photograph[0].permute(1, 2, 0).numpy(), alpha=alpha, extent=(0, width, height, 0))
    image.set_clip_path(field)
    rows, columns = row.output_map
    if rows <= 8:
        axes.hlines([height * i / rows for i in range(rows + 1)], 0, width, color="0.2", linewidth=0.6)
        axes.vlines([width * i / columns for i in range(columns + 1)], 0, height, color="0.2", linewidth=0.6)
    axes.set(xlim=(-width / 5, width * 6 / 5), ylim=(height * 6 / 5, -height / 5), xticks=[], yticks=[])
    axes.set_xlabel(f"{row.name}\nmap {rows}x{columns}\nfield {row.receptive_field[0]} px", fontsize=8.5)


def show(found, caption):
    """Draw one panel for the first convolution and one for each of the four stages."""
    fed = functional.resize(photograph, found.input_size)
    figure, axes = plt.subplots(1, 5, figsize=(8, 2.5), layout="constrained")
    figure.suptitle(caption, fontsize=10)
    for panel, row in zip(axes, [row for row in found.stages if row.name.startswith(("conv", "layer"))], strict=True):
        draw(panel, fed, row)


# %%
# 224 px: as it was made
# ----------------------
#
# The maps shrink and the receptive fields grow. A position of ``layer3`` sees nearly the whole image, and one of
# ``layer4`` sees more than the image. These are theoretical fields: all pixels that can have any influence. Pixels in
# the middle have most of the influence. The red frame is the field, and reddish areas lie beyond the image. The grid
# of positions is drawn for maps of at most 8x8.
found = report(model, 224)
print(found)
show(found, "ResNet-18 at 224 px: fields grow from 7 px to beyond the image, the last map is 7x7")

# %%
# 64 px
# -----
#
# The network and its fields in pixels are the same. Now they exceed the image from ``layer2`` on, and the last map
# has four positions.
found = report(model, 64)
print(found)
show(found, "ResNet-18 at 64 px: fields are larger than the image from layer2 on, the last map is 2x2")

# %%
# 32 px
# -----
#
# ``layer4`` has one position left and three quarters of the parameters. Its 3x3 kernels meet one value and 8 zeros.
found = report(model, 32)
print(found)
show(found, "ResNet-18 at 32 px: only the first convolution sees less than the image, the last map is 1x1")

# %%
# 32 px, adapted
# --------------
#
# ``adapt`` makes the first convolution 3x3 with stride 1 and removes the pool. All other weights are kept. Each side
# of every stage's map has four times as many positions, and no tap meets only padding. The adapted network costs
# fifteen times the multiply-accumulates. That is about the cost of the old stem on the same image upscaled by 4.
found = report(adapt(model, 32), 32)
print(found)
show(found, "ResNet-18 at 32 px after adapt: fields lie within the image as far as layer2, the last map is 4x4")

plt.show()
