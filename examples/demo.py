"""What does resizing do to my ResNet? Trains torchvision's resnet18 and a small ResNet in six ways and compares them.

The images are scikit-learn's digits (8x8 pixels, 1,797 images, nothing to download), or CIFAR-10 with --data.
"""

from __future__ import annotations

import argparse
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


@torch.no_grad()
def draw(arms: list[Arm], images: Images, out: Path) -> None:
    """Draw the accuracy curves, and a row of test images before and after each resizer."""
    resized = [arm for arm in arms if isinstance(arm.model, rn.ResizedModel)]
    figure = plt.figure(figsize=(9, 8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2, 1 + len(resized) / 2))
    axes = above.subplots()
    for arm in arms:
        axes.plot(range(1, len(arm.curve) + 1), arm.curve, marker="o", label=arm.name)
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", title=images.name)
    axes.legend()
    x = images.x_test[:8]
    rows = {"image": x, **{arm.name.partition(", ")[2]: arm.model.cpu().resizer.eval()(x) for arm in resized}}
    for line, (name, row) in zip(below.subplots(len(rows), len(x)), rows.items(), strict=True):
        for axis, image in zip(line, row, strict=True):
            low, high = image.min(), image.max()
            axis.imshow(((image - low) / (high - low)).permute(1, 2, 0).numpy())
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    below.suptitle("Each image's own range of values is shown as black to white", fontsize="small")
    figure.savefig(out, dpi=120)


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
    add("--epochs", type=int, default=6, help="number of epochs of every arm")
    add("--images", type=int, default=5_000, help="maximum number of training images, and of test images")
    add("--batch-size", type=int, default=64, help="images per step")
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
    images = load(options.data).first(options.images)
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
