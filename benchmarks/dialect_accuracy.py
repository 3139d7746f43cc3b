"""Accuracy on CIFAR-10 where evaluation resizes like another library than the data that a network was fitted to.

``python -m benchmarks.dialect_accuracy --data PATH`` writes ``benchmarks/results/dialect_accuracy.json``, and with
``--table`` prints the committed results as Markdown. No network is trained:

- 32 to 16 px: the published AirNet, which was trained at 16, 24 and 32 px on floats resized by ``crop_resize`` (torch's
  antialiased bilinear). Its BatchNorm statistics are computed anew for training images resized like Pillow's bilinear.
- 32 to 128 px: EfficientNet-Lite0 with its frozen ImageNet weights, and a linear classifier fitted to its features of
  training images that are enlarged like torch's bilinear.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import resizenet as rn
from resizenet.functional import OnnxResize, resize

from ._records import RESULTS, environment, read, write
from .accuracy._data import CIFAR10_MOMENTS, ImageData, load_cifar10
from .accuracy._transfer import LiteFeatures

FILE = RESULTS / "dialect_accuracy.json"
CORNERS = OnnxResize(coordinate_transformation_mode="align_corners")
ASYMMETRIC = OnnxResize(coordinate_transformation_mode="asymmetric")
NAMES = {CORNERS: "onnx, align_corners", ASYMMETRIC: "onnx, asymmetric"}
Rule = tuple[str | OnnxResize, str]
Network = Callable[[Tensor], Tensor]
SMALLER: list[Rule] = [  # the first one is that of the data that the network was fitted to
    ("pillow", "bilinear"),
    ("pillow", "bicubic"),
    ("pillow", "lanczos"),
    ("pillow", "nearest"),
    ("opencv", "area"),
    ("opencv", "linear"),
    ("opencv", "cubic"),
    ("opencv", "nearest"),
    ("torch", "bilinear"),
    ("scikit-image", "bilinear"),
    (CORNERS, "linear"),
]
LARGER: list[Rule] = [
    ("torch", "bilinear"),
    ("opencv", "linear"),
    ("pillow", "bicubic"),
    ("opencv", "cubic"),
    ("pillow", "lanczos"),
    ("opencv", "nearest"),
    (CORNERS, "linear"),
    (ASYMMETRIC, "linear"),
]
Row = dict[str, float | int | str]


def resized(images: Tensor, size: int, rule: Rule) -> Tensor:
    """Uint8 images as a pipeline of the library gives them."""
    return resize(images, size, interpolation=rule[1], like=rule[0])


def normalized(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Floats of mean 0 and standard deviation 1, in channels_last."""
    shift, scale = (torch.tensor(numbers)[:, None, None] for numbers in (mean, std))
    return ((images.float() / 255 - shift) / scale).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def small_network(data: ImageData) -> Network:
    """AirNet for 16 px; logits of uint8 images (B, 3, 16, 16)."""
    model = rn.create_model("airnet", weights="cifar10").to(memory_format=torch.channels_last)
    batches = (normalized(resized(part, 16, SMALLER[0]), *CIFAR10_MOMENTS) for part in data.x_train.split(500))
    rn.adapt_to_resolution(model, batches, num_batches=20)
    model.eval()
    return lambda images: model(normalized(images, *CIFAR10_MOMENTS))


@torch.no_grad()
def large_network(data: ImageData) -> Network:
    """EfficientNet-Lite0 and a linear classifier for 128 px; logits of uint8 images (B, 3, 128, 128)."""
    frozen = LiteFeatures().eval().to(memory_format=torch.channels_last)

    def features(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            found: Tensor = frozen(normalized(images, *frozen.mean_and_std))
        return found.float()

    known = torch.cat([features(resized(part, 128, LARGER[0])) for part in data.x_train.split(100)])
    center, spread = known.mean(0), known.std(0) + 1e-6
    classifier = fitted((known - center) / spread, data.y_train)
    return lambda images: classifier((features(images) - center) / spread)


@torch.enable_grad()
def fitted(features: Tensor, labels: Tensor, weight_decay: float = 1e-2) -> nn.Linear:
    """The linear classifier of least cross-entropy plus the decay times half the squared weights."""
    torch.manual_seed(0)
    classifier = nn.Linear(features.shape[1], 10)
    optimizer = torch.optim.LBFGS(classifier.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(classifier(features), labels)
        value = value + weight_decay / 2 * classifier.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return classifier.requires_grad_(False)


@torch.no_grad()
def measure(network: Network, images: Tensor, labels: Tensor, size: int, rules: list[Rule], name: str) -> list[Row]:
    """One row for each library; predictions and levels are compared with those of the first one."""
    rows: list[Row] = []
    first: tuple[Tensor, Tensor] | None = None
    for rule in rules:
        parts = [resized(part, size, rule) for part in images.split(100)]
        classes = torch.cat([network(part).argmax(-1) for part in parts])
        levels = torch.cat(parts)
        first = first or (classes, levels)
        rows.append(
            {
                "network": name,
                "size": size,
                "like": rule[0] if isinstance(rule[0], str) else NAMES[rule[0]],
                "interpolation": rule[1],
                "images": len(images),
                "accuracy": 100 * float((classes == labels).double().mean()),
                "changed": 100 * float((classes != first[0]).double().mean()),
                "levels": float((levels.float() - first[1].float()).abs().mean()),
            }
        )
        print(rows[-1], flush=True)
    return rows


def table(rows: list[Row]) -> str:
    """The rows of one size in Markdown; changes are against the first one."""
    lines = [
        "| like | interpolation | mean difference, levels | other prediction | accuracy | change |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        change = round(float(row["accuracy"]) - float(rows[0]["accuracy"]), 1) + 0.0  # no -0.0
        lines.append(
            f'| "{row["like"]}" | {row["interpolation"]} | {row["levels"]:.2f} | {row["changed"]:.1f} % '
            f"| {row['accuracy']:.1f} % | {change:+.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and write the results, or print those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="CIFAR-10, as an .npz or torchvision's folder")
    parser.add_argument("--table", action="store_true", help="print the committed results as Markdown")
    options = parser.parse_args()
    if options.table:
        rows = read(FILE, "rows")["rows"]
        print(*(table([row for row in rows if row["size"] == size]) for size in (16, 128)), sep="\n\n")
        return
    if options.data is None:
        parser.error("--data is needed to measure")
    data = load_cifar10(options.data, train=slice(10_000))
    x, y = data.x_test, data.y_test
    rows = measure(small_network(data), x, y, 16, SMALLER, "AirNet, BatchNorm statistics for 16 px")
    network = "EfficientNet-Lite0, frozen, with a linear classifier"
    rows += measure(large_network(data), x[:2000], y[:2000], 128, LARGER, network)
    command = "python -m benchmarks.dialect_accuracy --data PATH"
    write(FILE, {**environment(torch.device("cpu")), "command": command, "data": data.fingerprint(), "rows": rows})


if __name__ == "__main__":
    main()
