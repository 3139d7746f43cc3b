"""The experiments on other libraries' resizes: a network's rows, and the tables of the committed results."""

import pytest
import torch
from benchmarks._records import read
from torch import Tensor

from benchmarks import dialect_accuracy, dialect_gap
from resizenet.functional import resize


def brightest(images: Tensor) -> Tensor:
    """A network whose class is the brightest of the pixels."""
    return images.flatten(1).float()


def test_rows_compare_with_the_first_rule() -> None:
    images = torch.randint(256, (7, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rules = [("pillow", "box"), ("opencv", "nearest")]
    means, corners = images.float().reshape(7, 2, 2, 2, 2).mean((2, 4)), images[..., ::2, ::2]
    labels = means.flatten(1).argmax(1)
    first, second = dialect_accuracy.measure(brightest, images, labels, 2, rules, "brightest")
    changed = (corners.flatten(1).int().argmax(1) != labels).double().mean()
    assert (first["accuracy"], first["changed"], first["levels"]) == (100, 0, 0)
    assert second["changed"] == pytest.approx(100 * float(changed))
    assert second["accuracy"] == pytest.approx(100 - 100 * float(changed))
    rounded = resize(images, 2, interpolation="box", like="pillow").float()
    assert second["levels"] == pytest.approx(float((corners - rounded).abs().mean()))


def test_the_classifier_separates_what_can_be_separated() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (200,), generator=generator)
    features = 5 * torch.eye(12)[labels] + torch.randn(200, 12, generator=generator)
    classifier = dialect_accuracy.fitted(features, labels)
    assert (classifier(features).argmax(1) == labels).float().mean() > 0.95
    assert not classifier.weight.requires_grad


def test_the_tables_have_a_row_for_each_rule() -> None:
    gap, accuracy = (read(module.FILE, "rows")["rows"] for module in (dialect_gap, dialect_accuracy))
    assert len(dialect_gap.table(gap).splitlines()) == 2 + len(dialect_gap.DIALECTS)
    for size, rules in ((16, dialect_accuracy.SMALLER), (128, dialect_accuracy.LARGER)):
        rows = [row for row in accuracy if row["size"] == size]
        lines = dialect_accuracy.table(rows).splitlines()
        assert len(lines) == 2 + len(rules)
        assert lines[2].endswith(f"| 0.0 % | {rows[0]['accuracy']:.1f} % | +0.0 |")
