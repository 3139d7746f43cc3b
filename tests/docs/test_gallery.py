"""The gallery: every page draws and prints what its captions say."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from resizenet import transforms

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"

pytestmark = pytest.mark.slow


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[Any]]]:
    """A function that runs a page and returns its figures."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)

    def run(page: str) -> list[Any]:
        runpy.run_path(str(GALLERY / f"{page}.py"))
        figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
        assert all(figure.get_suptitle() for figure in figures)  # the caption and the alternative text
        return figures

    yield run
    pyplot.close("all")


def test_learned_resizers(drawn: Callable[[str], list[Any]], capsys: pytest.CaptureFixture[str]) -> None:
    published, *trained = drawn("plot_learned_resizers")
    assert [len(figure.axes) for figure in (published, *trained)] == [3, 4, 4]
    assert {axes.images[0].get_size() for figure in (published, *trained) for axes in figure.axes} == {(96, 128)}
    assert all(
        abs(figure.axes[0].images[0].get_array() - figure.axes[1].images[0].get_array()).max() > 0.05
        for figure in (published, *trained)
    )
    untrained, weights, linear, _ = capsys.readouterr().out.splitlines()
    assert float(untrained.removeprefix("largest difference: ")) == 0
    assert weights == "weights: 1.892 -11.295"  # published
    fixed, learned = (int(share) for share in re.findall(r"(\d+)%", linear))
    assert 5 < fixed < learned < 60  # as the caption says


def test_receptive_fields(drawn: Callable[[str], list[Any]], capsys: pytest.CaptureFixture[str]) -> None:
    labels = [[axes.get_xlabel().splitlines() for axes in figure.axes] for figure in drawn("plot_receptive_fields")]
    assert all([label[0] for label in row] == ["conv1", "layer1", "layer2", "layer3", "layer4"] for row in labels)
    # by hand: a 3x3 convolution adds 2 strides of its input to the field, a stage has four of them
    fields = [[int(label[2].split()[1]) for label in row] for row in labels]
    assert fields == [[7, 43, 99, 211, 435]] * 3 + [[3, 11, 25, 53, 109]]
    maps = [[label[1].removeprefix("map ") for label in row] for row in labels]
    assert [row[-1] for row in maps] == ["7x7", "2x2", "1x1", "4x4"]
    printed = capsys.readouterr().out
    assert re.findall(r"at 3x(\d+)x\d+: (\S+ [GM]) MACs", printed) == [
        ("224", "1.8 G"),
        ("64", "148.1 M"),
        ("32", "37.0 M"),
        ("32", "555.4 M"),
    ]


def test_stem_surgery(drawn: Callable[[str], list[Any]], capsys: pytest.CaptureFixture[str]) -> None:
    filters, answers = drawn("plot_stem_surgery")
    assert [axes.images[0].get_size() for axes in filters.axes[::8]] == [(7, 7), (5, 5), (3, 3), (3, 3), (3, 3)]
    assert [axes.get_title(loc="left") for axes in filters.axes[::8]][1:] == [
        '5x5, stem="fold"',
        '3x3, stem_weights="pinv"',
        '3x3, stem_weights="area"',
        '3x3, stem_weights="center"',
    ]
    differences = [float(found) for found in re.findall(r"largest difference (\S+),", capsys.readouterr().out)]
    assert differences[0] < 1e-4 < 0.1 < min(differences[1:])
    old, folded, *others = (axes.images[0].get_array() for axes in answers.axes)
    assert old.shape == (28, 28)  # 32 without two rows and columns at each border
    assert abs(old - folded).max() < 1e-4
    assert all(abs(old - other).max() > 0.1 for other in others)


def test_policies(drawn: Callable[[str], list[Any]]) -> None:
    photographs, *figures = drawn("plot_policies")
    sources = [axes.images[0].get_size() for axes in photographs.axes]
    assert sources == [(427, 150), (427, 640), (32, 32)]
    shown = set()
    for figure in figures:
        name, train, evaluation, *_ = figure.get_supxlabel().splitlines()
        sizes = [tuple(map(int, line.split()[1].split("x"))) for line in (train, train, evaluation)]
        for row, source in enumerate(sources):
            sizes_drawn = [axes.images[0].get_size() for axes in figure.axes[4 * row : 4 * row + 4]]
            assert sizes_drawn == [source, *([source] * 3 if name == "NativePolicy" else sizes)]
        assert sum(len(axes.patches) for axes in figure.axes) == 12  # a box in each
        shown.add(name)
    assert shown == {name for name in transforms.__all__ if name.endswith("Policy")} - {"ResizePolicy"}


def test_dialects(drawn: Callable[[str], list[Any]], capsys: pytest.CaptureFixture[str]) -> None:
    circles, weights = drawn("plot_dialects")
    assert [len(figure.axes) for figure in (circles, weights)] == [10, 3]
    darkest = [int(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert all(level > 150 for level in darkest[:5])  # those that antialias make the line gray
    assert darkest[5:] == [0] * 5
