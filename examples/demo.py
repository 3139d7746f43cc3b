"""What does resizing do to my ResNet? Trains torchvision's resnet18 and a small ResNet in six ways and compares them.

The images are scikit-learn's digits (8x8 pixels, ten training images of each digit, nothing to download), or CIFAR-10
with --data.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import torch
import torchvision
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import nn
from torch.nn import functional as F

import resizenet as rn
from demo_data import Images, load

mpl.use("Agg")  # draw to a file, without a screen
from matplotlib import pyplot as plt

DEFAULTS = {"epochs": (20, 6), "images": (100, 5_000), "batch_size": (20, 64)}  # for the digits and for CIFAR-10
MOST_TEST_IMAGES = 5_000


@dataclass
class Arm:
    """One way to deal with the size, and what training found."""

    name: str
    make: Callable[[], nn.Module]
    policy: rn.transforms.ResizePolicy | None = None  # applied to the images before the model
    curve: list[float] = field(default_factory=list)  # test accuracy in %, one per epoch
    seconds: float = 0.0
    model: nn.Module | None = None


def make_arms(size: int) -> list[Arm]:
    """Return the six ways for square images of ``size`` pixels; the last three halve the images for a small network."""

    def large() -> nn.Module:
        return torchvision.models.resnet18(num_classes=10)

    def small() -> nn.Module:
        return rn.create_model("resnet20", shortcut="projection")

    half = size // 2
    return [
        Arm("resnet18 as it is", large),
        Arm("resnet18 adapted", lambda: rn.adapt(large(), size)),
        Arm("resnet18 upscaled", large, rn.transforms.UpscalePolicy(4 * size)),
        Arm("half size, FixedResizer", lambda: rn.FixedResizer(half).wrap(small())),
        Arm("half size, LinearResizer", lambda: rn.LinearResizer(half).wrap(small())),
        Arm("half size, Resizer", lambda: rn.Resizer(half).wrap(small())),
    ]


def train(arm: Arm, images: Images, options: argparse.Namespace, progress: Progress) -> None:
    """Train with SGD and a one-cycle learning rate; every arm has the same seed, order of images and steps."""
    device = torch.device(options.device)
    torch.manual_seed(options.seed)
    model = arm.model = arm.make().to(device, memory_format=torch.channels_last)
    torch.manual_seed(options.seed)
    before_train = arm.policy.train() if arm.policy else nn.Identity()
    before_eval = arm.policy.eval() if arm.policy else nn.Identity()
    steps = len(images.x_train) // options.batch_size
    optimizer, schedule = make_optimizer(model, options, options.epochs * steps)
    bar = progress.add_task(arm.name, total=options.epochs * steps)
    start = time.perf_counter()
    for _ in range(options.epochs):
        model.train()
        for batch in torch.randperm(len(images.x_train))[: steps * options.batch_size].view(steps, -1):
            x, y = images.x_train[batch].to(device), images.y_train[batch].to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
                loss = F.cross_entropy(model(before_train(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.advance(bar)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bf16):
            arm.curve.append(accuracy(model, before_eval, images, device))
    arm.seconds = time.perf_counter() - start


def make_optimizer(
    model: nn.Module, options: argparse.Namespace, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return the optimizer, with a learning rate of its own for a resizer, and its schedule."""
    groups = model.parameters()
    if isinstance(model, rn.ResizedModel):
        groups = model.parameter_groups(options.lr, resizer_lr=options.resizer_lr)
    optimizer = torch.optim.SGD(groups, lr=options.lr, momentum=0.9, nesterov=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)


@torch.no_grad()
def accuracy(model: nn.Module, before: nn.Module, images: Images, device: torch.device) -> float:
    """Return the accuracy on the test images in %."""
    model.eval()
    batches = zip(images.x_test.split(500), images.y_test.split(500), strict=True)
    right = sum(int((model(before(x.to(device))).argmax(1).cpu() == y).sum()) for x, y in batches)
    return 100 * right / len(images.y_test)


def print_table(arms: list[Arm], images: Images, console: Console) -> None:
    """Print one line per arm, with the accuracy of the last epoch."""
    data = f"{images.name}, {images.size}x{images.size} px, {len(images.x_train):,} training images"
    title = f"{data}, epoch {len(arms[0].curve)}"
    table = Table(title=title, box=box.SIMPLE, pad_edge=False, collapse_padding=True)
    for column in ("", "input", "last map", "M MACs", "M params", "s", "accuracy"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for arm in arms:
        size = arm.policy.eval_size[0] if arm.policy else images.size
        found = rn.report(arm.model, size)
        last_map = "x".join(map(str, found.final.output_map))
        counts = (f"{found.macs / 1e6:,.1f}", f"{found.params / 1e6:.2f}")
        table.add_row(arm.name, f"{size} px", last_map, *counts, f"{arm.seconds:.0f}", f"{arm.curve[-1]:.1f} %")
    table.caption = "resnet18 three times, then a resnet20 with projection shortcuts on images of half the size"
    console.print(table)


COLORS = ("0.45", "tab:orange", "tab:blue", "0.45", "tab:orange", "tab:blue")


def draw(arms: list[Arm], images: Images, out: Path) -> None:
    """Draw the accuracy curves, and a row of test images before and after each resizer."""
    figure = plt.figure(figsize=(9, 7), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(3, 2))
    pixels, count = images.size, len(images.x_train)
    titles = (f"ResNet-18 on {pixels}x{pixels} pixels", f"ResNet-20 on {pixels // 2}x{pixels // 2} pixels")
    axes = above.subplots(1, 2, sharey=True)
    for axis, group, title in zip(axes, (arms[:3], arms[3:]), titles, strict=True):
        draw_curves(axis, group, title)
    axes[0].set_ylabel("test accuracy (%)")
    above.suptitle(f"{images.name}, {count:,} training images", fontsize="large", fontweight="bold")
    draw_images(below, [arm for arm in arms if isinstance(arm.model, rn.ResizedModel)], images.x_test[:8])
    figure.savefig(out, dpi=120)


def draw_curves(axis: plt.Axes, arms: list[Arm], title: str) -> None:
    """Draw one line per arm, with its name and last accuracy beside its end."""
    epochs = len(arms[0].curve)
    for arm, color in zip(arms, COLORS, strict=False):
        axis.plot(range(1, epochs + 1), arm.curve, color=color, linewidth=2)
    lowest = -math.inf
    for arm, color in sorted(zip(arms, COLORS, strict=False), key=lambda pair: pair[0].curve[-1]):
        height = lowest = max(arm.curve[-1], lowest + 5)  # labels do not cover each other
        label = f"{arm.name.partition(', ')[2] or arm.name.partition(' ')[2]} {arm.curve[-1]:.1f}"
        axis.annotate(label, (epochs, height), (6, 0), textcoords="offset points", color=color, va="center")
    axis.set(title=title, xlabel="epoch", xlim=(1, 1.5 * epochs), ylim=(0, 103), xticks=[1, epochs])
    axis.spines[["top", "right"]].set_visible(False)


@torch.no_grad()
def draw_images(figure: plt.FigureBase, arms: list[Arm], x: torch.Tensor) -> None:
    """Draw a row of images, and a row of what each resizer makes of them."""
    rows = {"image": x, **{arm.name.partition(", ")[2]: arm.model.cpu().resizer.eval()(x) for arm in arms}}
    for line, (name, row) in zip(figure.subplots(len(rows), len(x)), rows.items(), strict=True):
        for axis, image in zip(line, row, strict=True):
            low, high = image.min(), image.max()
            axis.imshow(((image - low) / (high - low)).permute(1, 2, 0).numpy())
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle(
        "What the small network is given, each image from its darkest to its lightest value", fontsize="medium"
    )


def computes_in_bf16(device: str) -> bool:
    """Return whether the device has bf16 instructions; a CPU without them is slower in bf16 than in float32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


def parse() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, help="CIFAR-10 as an .npz or torchvision's folder; the digits if not given")
    add("--epochs", type=int, help="number of epochs of every arm; by default 20 for the digits and 6 for CIFAR-10")
    add("--images", type=int, help="number of training images; by default 100 of the digits and 5,000 of CIFAR-10")
    add("--batch-size", type=int, help="images per step; by default 20 for the digits and 64 for CIFAR-10")
    add("--lr", type=float, default=0.05, help="peak learning rate")
    add(
        "--resizer-lr",
        type=float,
        help="peak learning rate of the resizers; by default a tenth of --lr for Resizer, --lr for others",
    )
    add("--seed", type=int, default=0, help="seed of the weights, the shuffling and the crops")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    bf16 = "bfloat16 autocast; by default on for images of at least 32 px if the device has bf16 instructions"
    add("--bf16", action=argparse.BooleanOptionalAction, help=bf16)
    add("--out", type=Path, default=Path("demo.png"), help="where the picture goes")
    options = parser.parse_args()
    for name, (digits, cifar10) in DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, cifar10 if options.data else digits)
    for name in ("epochs", "images", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: expected a positive number, got {getattr(options, name)}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device: torch finds no CUDA device here, got {options.device}")
    if not options.out.parent.is_dir():
        parser.error(f"--out: no such folder: {options.out.parent}")
    return options


def main() -> None:
    """Print the report, train every arm and compare the results."""
    options = parse()
    console = Console()
    images = load(options.data).first(options.images, MOST_TEST_IMAGES)
    if options.bf16 is None:
        options.bf16 = images.size >= 32 and computes_in_bf16(options.device)
    console.print(str(rn.report(torchvision.models.resnet18(num_classes=10), images.size)), highlight=False)
    console.print()
    arms = make_arms(images.size)
    with Progress(console=console) as progress:
        for arm in arms:
            train(arm, images, options, progress)
    print_table(arms, images, console)
    draw(arms, images, options.out)
    console.print(f"Curves and resized images: {options.out}")


if __name__ == "__main__":
    sys.exit(main())
