"""
What a ResNet sees of a small image
===================================

The stages of ResNet-18 over one photograph in three sizes, and what the middle cell of each map sees of it. At 224 px, the size it was made for,
the last map has 7x7 cells; at 32 px it has a single one, whose field is mostly padding. :func:`resizenet.adapt` changes that.

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
    """The photograph, pale where the middle cell does not see it, and the cells of the map; everything in input pixels."""
    height, width = photograph.shape[-2:]
    top, left = (
        start + cells // 2 * stride
        for start, cells, stride in zip(row.field_start, row.output_map, row.stride, strict=True)
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
    """One panel for the first convolution and for each of the four stages."""
    fed = functional.resize(photograph, found.input_size)
    figure, axes = plt.subplots(1, 5, figsize=(8, 2.5), layout="constrained")
    figure.suptitle(caption, fontsize=10)
    for panel, row in zip(axes, [row for row in found.stages if row.name.startswith(("conv", "layer"))], strict=True):
        draw(panel, fed, row)


# %%
# 224 px: as it was made
# ----------------------
#
# The maps shrink and the fields grow: a cell of ``layer3`` sees nearly the whole image, one of ``layer4`` more than there is. These are
# theoretical fields, the pixels that can have any influence at all; those in the middle have most of it. Red is around a field, and reddish what lies
# beyond the image; a map's cells are drawn where they are 8x8 or fewer.
found = report(model, 224)
print(found)
show(found, "ResNet-18 at 224 px: fields grow from 7 px to beyond the image, the last map has 7x7 cells")

# %%
# 64 px
# -----
#
# The same network and the same fields in pixels. Now they exceed the image from ``layer2`` on, and the last map has four cells.
found = report(model, 64)
print(found)
show(found, "ResNet-18 at 64 px: fields are larger than the image from layer2 on, the last map has 2x2 cells")

# %%
# 32 px
# -----
#
# One cell is left in ``layer4``, where three quarters of the parameters are. Its 3x3 kernels meet one cell and eight zeros.
found = report(model, 32)
print(found)
show(found, "ResNet-18 at 32 px: only the first convolution sees less than the image, the last map is one cell")

# %%
# 32 px, adapted
# --------------
#
# ``adapt`` makes the first convolution 3x3 with stride 1 and takes the pool out; all other weights are kept. Every stage's map has four times as
# many cells in each direction, and no tap meets padding only. It costs fifteen times the multiply-accumulates, about as much as the old stem does
# on the same image upscaled by 4.
found = report(adapt(model, 32), 32)
print(found)
show(found, "ResNet-18 at 32 px after adapt: fields lie within the image as far as layer2, the last map has 4x4 cells")

plt.show()
