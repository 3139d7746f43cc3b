"""Experiment ``dialect_gap``: what it costs to resize like another library than in training.

``python -m benchmarks.dialect_gap`` writes ``benchmarks/results/dialect_gap.json``, and with ``--table`` prints the
committed results as Markdown. It trains nothing: EfficientNet-Lite0 with its ImageNet weights predicts the classes of
square crops of scikit-image's photographs, resized to 224 px like each library.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from resizenet.functional import resize

from ._records import RESULTS, environment, read, write
from .accuracy._transfer import LiteFeatures

FILE = RESULTS / "dialect_gap.json"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "motorcycle_left", "motorcycle_right", "rocket", "retina")
REFERENCE = ("pillow", "bicubic")  # of the network's own evaluation
DIALECTS = [
    REFERENCE,
    ("pillow", "bilinear"),
    ("pillow", "lanczos"),
    ("opencv", "area"),
    ("opencv", "linear"),
    ("opencv", "cubic"),
    ("opencv", "nearest"),
    ("torch", "bilinear"),
    ("torch", "bicubic"),
    ("tensorflow", "bilinear"),
    ("scikit-image", "bilinear"),
    ("matlab", "bicubic"),
]
Row = dict[str, float | str]


def crops(side: int = 224) -> list[Tensor]:
    """Overlapping square crops of the photographs, uint8 (1, 3, s, s), all larger than 224 px."""
    from skimage import data  # only to measure, not for the tables of the docs

    found = []
    for name in PHOTOGRAPHS:
        array = data.stereo_motorcycle()[name.endswith("right")] if "motorcycle" in name else getattr(data, name)()
        image = torch.from_numpy(np.ascontiguousarray(array[..., :3])).permute(2, 0, 1)[None]
        for length in (min(image.shape[-2:]), min(image.shape[-2:]) * 3 // 4):
            if length <= side:
                continue
            for top in torch.linspace(0, image.shape[-2] - length, 2).int().tolist():
                for left in torch.linspace(0, image.shape[-1] - length, 2).int().tolist():
                    found.append(image[..., top : top + length, left : left + length])
    return found


@torch.no_grad()
def logits(network: LiteFeatures, images: list[Tensor], like: str, interpolation: str) -> Tensor:
    """(images, 1000), for the images resized to 224 px and normalized as the network was trained."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in network.mean_and_std)
    batches = (resize(image, 224, interpolation=interpolation, like=like) for image in images)
    return torch.cat([network.model((batch.float() / 255 - mean) / std) for batch in batches])


def measure() -> list[Row]:
    """One row for each dialect, compared with the reference."""
    network, images = LiteFeatures().eval(), crops()
    expected = logits(network, images, *REFERENCE)
    reference = [resize(image, 224, interpolation=REFERENCE[1], like=REFERENCE[0]).float() for image in images]
    rows: list[Row] = []
    for like, interpolation in DIALECTS:
        found = logits(network, images, like, interpolation)
        resized = [resize(image, 224, interpolation=interpolation, like=like).float() for image in images]
        gaps = [float((one - other).abs().mean()) for one, other in zip(resized, reference, strict=True)]
        rows.append(
            {
                "like": like,
                "interpolation": interpolation,
                "images": len(images),
                "same_class": float((found.argmax(-1) == expected.argmax(-1)).float().mean()),
                "logit_change": float((found - expected).abs().mean()),
                "logit_spread": float(expected.std()),
                "levels": sum(gaps) / len(gaps),
            }
        )
    return rows


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        "| like | interpolation | mean difference, levels | same class | mean change of a logit |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        same = f"{100 * float(row['same_class']):.1f} %"
        lines.append(
            f'| "{row["like"]}" | {row["interpolation"]} | {row["levels"]:.2f} | {same} | {row["logit_change"]:.3f} |'
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and write the results, or print those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", action="store_true", help="print the committed results as Markdown")
    if parser.parse_args().table:
        print(table(read(FILE, "rows")["rows"]))
        return
    command = "python -m benchmarks.dialect_gap"
    write(FILE, {**environment(torch.device("cpu")), "command": command, "rows": measure()})


if __name__ == "__main__":
    main()
