"""Test how a report is shown: tables, JSON, a notebook, rich, and pictures."""

from __future__ import annotations

import html.parser
import io
import json
import sys

import pytest
import rich.console
import torch
import torchvision
from torch import nn

import resizenet as rn

HEADER = ["module", "kind", "map", "channels", "stride", "field", "idle taps", "MACs", "parameters"]


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.get_model(name)


# --- tables


def test_the_table_has_a_line_per_stage_and_no_trailing_spaces() -> None:
    text = str(rn.report(torchvision.models.resnet18(num_classes=10), (32, 48)))
    lines = text.splitlines()
    assert text.startswith("ResNet at 3x32x48: ")
    assert lines[2].split() == " ".join(name for name in HEADER if name != "kind").split()
    assert [line.split()[0] for line in lines[3:9]] == ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    # idle taps: 3 of 9 are used, then 6 of 9 three times, then 1 of 1
    idle = round(100 * (256 * 3 + 3 * 512 * 6) / (256 * 9 + 3 * 512 * 9 + 256))
    assert lines[8].split() == f"layer4 1x2 512 32 435 {idle} % 16.8 M 8.4 M".split()
    assert all(line == line.rstrip() for line in lines)


def test_a_narrow_table_has_every_column() -> None:
    lines = str(rn.report(nn.Sequential(nn.Conv2d(3, 2, 3)), 9)).splitlines()
    assert lines[2].split() == " ".join(HEADER).split()


@pytest.mark.parametrize(("name", "size"), [("resnet50", 32), ("densenet121", 32), ("vit_b_16", 224)])
def test_text_fits_in_80_columns(name: str, size: int) -> None:
    found = rn.report(on_meta(name), size)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    notes = " ".join(line.strip() for line in lines)
    assert all(text in notes for text in (*found.warnings, *found.suggestions))


def test_a_table_of_layers_has_a_line_per_layer() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), 32)
    lines = found.table(layers=True).splitlines()
    modules = torchvision.models.resnet18().named_modules()
    called = [name for name, module in modules if name and not list(module.children())]
    assert sorted(line.split()[0] for line in lines[3 : 3 + len(called)]) == sorted(called)
    assert sum(row.macs for row in found.layers) == found.macs
    assert sum(row.params for row in found.layers) == found.params


def test_modules_in_lists_are_stages() -> None:
    names = [row.name for row in rn.report(on_meta("maxvit_t"), 224).stages]
    assert names[:5] == ["stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3"]


@pytest.mark.parametrize(
    ("name", "size", "marks"),
    [("efficientnet_b0", 64, {"851+"}), ("swin_t", 224, {"?", "image"}), ("resnet18", 64, {"435"})],
)
def test_fields_are_marked_if_a_position_sees_more(name: str, size: int, marks: set[str]) -> None:
    text = str(rn.report(on_meta(name), size))
    assert marks <= set(text.split())
    assert ("+ : and more, through a gate or a norm over the whole map" in text) == (name == "efficientnet_b0")


def test_a_model_without_maps_has_neither_stride_nor_field() -> None:
    found = rn.report(nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 7, 2)), (5, 7))
    assert (found.final, found.output_stride, found.receptive_field) == (None, None, None)
    assert (found.suggestions, found.warnings) == ((), ())
    assert (found.macs, found.params) == (210, 212)
    assert str(found)
    assert found.plot()


# --- other forms


def test_the_dict_is_json() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), (32, 48))
    values = json.loads(json.dumps(found.to_dict()))
    assert list(values) == [
        *("model", "input_size", "in_channels", "rows", "warnings", "suggestions", "macs", "params"),
        *("stages", "layers", "output_stride", "receptive_field"),
    ]
    assert (values["input_size"], values["receptive_field"]) == ([32, 48], [435, 435])
    assert values["suggestions"] == list(found.suggestions) != []
    assert values["stages"] == ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "fc"]
    row = {row["name"]: row for row in values["rows"]}["layer4.1.conv1"]
    assert (row["output_map"], row["kernel"], row["used_taps"], row["reach"]) == ([1, 2], [3, 3], 3, "window")


class Cells(html.parser.HTMLParser):
    """Collect the text of every cell; an open tag that is not closed is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th"):
            self.cells.append(data)


def test_a_notebook_shows_the_same_cells_and_escapes_names() -> None:
    model = nn.Sequential()
    model.add_module("<b>&", nn.Conv2d(3, 2, 3))
    parser = Cells()
    parser.feed(rn.report(model, 9)._repr_html_())
    parser.close()
    assert parser.open == []
    assert parser.cells == [*HEADER, "<b>&", "Conv2d", "7x7", "2", "1", "3", "0 %", "2.6 k", "56"]


def test_a_notebook_labels_warnings_and_suggestions() -> None:
    found = rn.report(on_meta("resnet50"), 32)
    page = found._repr_html_()
    assert len(found.warnings) > 2
    assert page.count("<b>Warning:</b>") == len(found.warnings)
    assert page.count("<b>Suggestion:</b>") == len(found.suggestions)
    gated = rn.report(on_meta("efficientnet_b0"), 32)._repr_html_()
    assert "<div>+ : and more, through a gate or a norm over the whole map</div>" in gated


def test_rich_shows_names_and_notes_in_80_columns() -> None:
    found = rn.report(on_meta("resnet50"), 32)
    console = rich.console.Console(file=io.StringIO(), width=80, color_system=None)
    console.print(found)
    text = console.file.getvalue()
    assert "kind" not in text
    assert all(word in text for word in ("layer4", "1x1", "2048", "427", "37 %", "16.5 M", "15.0 M"))
    assert "".join(found.warnings[0].split()) in "".join(text.split())


# --- pictures


def test_the_picture_shows_the_field_of_the_middle_position() -> None:
    figure = rn.report(torchvision.models.resnet18(num_classes=10), (64, 96)).plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "conv1\n32x48, field 7"
    assert titles[-1] == "layer4\n2x3, field 435"
    field, image = figure.axes[0].patches
    assert field.get_xy() == (24 * 2 - 3, 16 * 2 - 3)  # position (16, 24), stride 2, padding 3
    assert (field.get_width(), field.get_height()) == (7, 7)
    assert (image.get_xy(), image.get_width(), image.get_height()) == ((0, 0), 96, 64)
    assert figure.axes[0].yaxis_inverted()


def test_the_picture_can_be_saved() -> None:
    file = io.BytesIO()
    rn.report(on_meta("swin_t"), 224).plot().savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_the_error_without_matplotlib_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rn.report(torchvision.models.resnet18(), 32)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it raises ModuleNotFoundError
    message = r"^plot: needs matplotlib, which is not installed; pip install matplotlib$"
    with pytest.raises(ModuleNotFoundError, match=message):
        found.plot()
