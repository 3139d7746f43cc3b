"""What a report says and how it shows it: warnings, suggestions, tables, pictures, comparisons."""

from __future__ import annotations

import contextlib
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
from resizenet.geometry import Comparison, GeometryReport, compare


def with_meta(name: str, **arguments: object) -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.get_model(name, **arguments)


def told(found: GeometryReport, word: str) -> list[str]:
    return [text for text in (*found.warnings, *found.suggestions) if word in text]


# --- warnings


def test_a_small_image_is_warned_about_and_answered() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), 32)
    assert found.warnings == (
        "layer3: 2x2 map, where a 3x3 kernel never has more than 4 of 9 taps inside; 19 % of the parameters",
        "layer4: 1x1 map, where a 3x3 kernel uses 1 of 9 taps and the others only ever meet padding; 75 % of the parameters",
        "from layer1.1.conv1 on, the receptive field (35 px) exceeds the image",
        "layer4.0.bn1 and 4 more: 1 value per channel and image, so BatchNorm raises in training when the last batch is 1 image; drop_last=True avoids it",
    )
    assert found.suggestions == (
        'resizenet.adapt(model, 32, stem="cifar"): the same weights, a 4x4 last map, 15.0 times the MACs (555.4 M)',
        "resizenet.transforms.UpscalePolicy(128): a 4x4 last map, 16.0 times the MACs (592.2 M)",
    )


def test_the_shares_of_parameters_are_those_of_the_stages() -> None:
    model = torchvision.models.resnet18(num_classes=10)
    shares = [100 * sum(p.numel() for p in part.parameters()) / 11_181_642 for part in (model.layer3, model.layer4)]
    assert [f"{share:.0f} % of the parameters" for share in shares] == [
        text.rpartition("; ")[2] for text in rn.report(model, 32).warnings[:2]
    ]


def test_an_image_that_fits_is_only_told_about_the_field() -> None:
    found = rn.report(torchvision.models.resnet18(), 224)
    assert found.warnings == ("from layer4.0.conv1 on, the receptive field (243 px) exceeds the image",)  # 211 + 2 * 16
    assert found.suggestions == ()


@pytest.mark.parametrize(("side", "raises"), [(32, True), (33, False), (64, False)])
def test_the_last_batch_of_one_raises_where_the_report_says_so(side: int, raises: bool) -> None:
    model = torchvision.models.resnet18(num_classes=10).train()
    with pytest.raises(ValueError, match="more than 1 value per channel") if raises else contextlib.nullcontext():
        model(torch.rand(1, 3, side, side))
    assert len(told(rn.report(model, side), "1 value per channel")) == raises


def test_stages_with_the_same_map_are_warned_about_together() -> None:
    first = rn.report(with_meta("efficientnet_b0"), 32).warnings[:2]
    assert [text.partition(",")[0] for text in first] == [
        "features.4 to features.5: 2x2 map",
        "features.6 to features.8: 1x1 map",
    ]
    assert "a 5x5 kernel uses 9 of 25 taps" in first[0]
    assert "a 5x5 kernel uses 1 of 25 taps" in first[1]


def test_large_kernels_waste_taps_on_larger_maps() -> None:
    assert told(rn.report(with_meta("convnext_tiny"), 96), "25 of 49")[0].startswith(
        "features.6 to features.7: 3x3 map"
    )
    assert not told(rn.report(with_meta("convnext_tiny"), 128), "taps")


@pytest.mark.parametrize(("side", "warned"), [(10, True), (11, False)])
def test_an_image_smaller_than_the_stem_is_told(side: int, warned: bool) -> None:
    expected = ["the image (10x10) is smaller than what one cell of the stem sees (11 px)"]
    assert told(rn.report(torchvision.models.resnet18(), side), "the stem") == expected * warned


def test_odd_maps_that_lose_their_last_line_are_told() -> None:
    found = rn.report(with_meta("densenet121"), (99, 96))
    assert told(found, "drops") == [
        "features.transition1.pool: a stride of 2 drops the last 1 of 25 rows of the 25x24 map"
    ]
    assert not told(rn.report(torchvision.models.resnet18(), (99, 97)), "drops")  # its padding reaches them


@pytest.mark.parametrize(("side", "warned"), [(5, False), (4, True)])
def test_a_field_as_large_as_the_image_does_not_exceed_it(side: int, warned: bool) -> None:
    found = rn.report(nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)), (side, 9))
    assert told(found, "exceeds") == ["from 1 on, the receptive field (5 px) exceeds the image"] * warned


# --- suggestions


@pytest.mark.parametrize(("side", "stem"), [(32, "cifar"), (48, "cifar"), (64, "no_pool")])
def test_the_suggestions_do_what_they_promise(side: int, stem: str) -> None:
    model = torchvision.models.resnet18(num_classes=10)
    before = rn.report(model, side)
    adapted, upscaled = rn.adapt(model, side, stem=stem), before.suggestions[1].partition("(")[2].partition(")")[0]
    assert before.suggestions[0].startswith(f'resizenet.adapt(model, {side}, stem="{stem}"): ')
    for after in (rn.report(adapted, side), rn.report(model, int(upscaled))):
        assert min(after.final.output_map) >= 4
        assert after.suggestions == ()
        assert "x".join(map(str, after.final.output_map)) in (
            before.suggestions[0] if after.input_size == (side, side) else before.suggestions[1]
        )


def test_adapting_and_upscaling_cost_about_the_same() -> None:
    model = torchvision.models.resnet18(num_classes=10)
    assert rn.report(rn.adapt(model, 32, stem="cifar"), 32).macs == pytest.approx(
        rn.report(model, 128).macs, rel=0.07
    )  # 555 M and 592 M


def test_rectangles_are_suggested_as_rectangles() -> None:
    found = rn.report(torchvision.models.resnet18(), (32, 48))
    assert found.suggestions[0].startswith(
        'resizenet.adapt(model, (32, 48), stem="cifar"): the same weights, a 4x6 last map, '
    )
    assert found.suggestions[1].startswith("resizenet.transforms.UpscalePolicy((128, 192)): a 4x6 last map")


def test_a_strided_stem_without_a_pool_is_to_be_registered_first_and_then_adapts() -> None:
    found = rn.report(torchvision.models.mobilenet_v2(num_classes=10), 32)
    code = 'resizenet.surgery.register_family(type(model), conv="features.0.0", classifier="classifier.1"); resizenet.adapt(model, 32, stem="cifar")'
    assert found.suggestions[0].startswith(f"{code}: the same weights, a 2x2 last map, ")


@pytest.mark.parametrize("name", ["convnext_tiny", "swin_t", "vgg11"])
def test_patches_and_stems_without_a_stride_are_not_to_be_adapted(name: str) -> None:
    found = rn.report(with_meta(name), 64 if name != "vgg11" else 32)
    assert [text.partition("(")[0] for text in found.suggestions] == ["resizenet.transforms.UpscalePolicy"]


def test_patches_with_an_odd_side_are_patches_too() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    assert [text.partition("(")[0] for text in rn.report(model, 9).suggestions] == [
        "resizenet.transforms.UpscalePolicy"
    ]


def test_an_upscaling_that_the_model_refuses_is_not_suggested() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(4 * 2 * 2, 5))
    assert rn.report(model, 16).suggestions == ()


def test_networks_that_take_an_output_stride_are_told_so() -> None:
    code = "replace_stride_with_dilation=[False, True, True]"
    assert told(rn.report(with_meta("resnet50"), 32), code)
    found = rn.report(torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True]), 32)
    assert (found.output_stride, found.final.output_map, found.suggestions) == ((8, 8), (4, 4), ())
    assert told(rn.report(with_meta("resnet50"), 64), "replace_stride_with_dilation=[False, False, True]")
    assert not told(rn.report(with_meta("resnet18"), 32), "dilation")  # torchvision's basic blocks take none


# --- tables


def test_the_table_has_a_line_per_stage_and_no_spaces_at_the_end() -> None:
    text = str(rn.report(torchvision.models.resnet18(num_classes=10), (32, 48)))
    lines = text.splitlines()
    assert text.startswith("ResNet at 3x32x48: ")
    assert lines[2].split() == [
        "module",
        "kind",
        "map",
        "channels",
        "stride",
        "field",
        "idle",
        "taps",
        "MACs",
        "parameters",
    ]
    assert [line.split()[0] for line in lines[3:9]] == ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    assert lines[8].split() == ["layer4", "Sequential", "1x2", "512", "32", "435", "61", "%", "16.8", "M", "8.4", "M"]
    assert (
        round(100 * (256 * 3 + 3 * 512 * 6) / (256 * 9 + 3 * 512 * 9 + 256)) == 61
    )  # idle taps: 3 of 9, then 6 of 9 three times, then 0 of 1
    assert all(line == line.rstrip() for line in lines)


def test_a_table_of_layers_has_a_line_per_layer() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), 32)
    lines = found.table(layers=True).splitlines()
    called = [
        name for name, module in torchvision.models.resnet18().named_modules() if name and not list(module.children())
    ]
    assert sorted(line.split()[0] for line in lines[3 : 3 + len(called)]) == sorted(called)
    assert sum(row.macs for row in found.layers) == found.macs
    assert sum(row.params for row in found.layers) == found.params


def test_modules_in_lists_are_stages_too() -> None:
    assert [row.name for row in rn.report(with_meta("maxvit_t"), 224).stages][:5] == [
        "stem",
        "blocks.0",
        "blocks.1",
        "blocks.2",
        "blocks.3",
    ]


@pytest.mark.parametrize(
    ("name", "size", "marks"),
    [("efficientnet_b0", 64, {"851+"}), ("swin_t", 224, {"?", "image"}), ("resnet18", 64, {"435"})],
)
def test_fields_are_marked_where_more_is_seen(name: str, size: int, marks: set[str]) -> None:
    text = str(rn.report(with_meta(name), size))
    assert marks <= set(text.split())
    assert ("+ : and more, through a gate or a norm over the whole map" in text) == (name == "efficientnet_b0")


def test_a_model_without_maps_has_neither_stride_nor_field() -> None:
    found = rn.report(nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 7, 2)), (5, 7))
    assert (found.final, found.output_stride, found.receptive_field, found.suggestions, found.warnings) == (
        None,
        None,
        None,
        (),
        (),
    )
    assert (found.macs, found.params) == (210, 212)
    assert str(found)
    assert found.plot()


def test_the_dict_is_json() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), (32, 48))
    values = json.loads(json.dumps(found.to_dict()))
    assert {"model", "rows", "warnings", "suggestions", "macs", "params", "output_stride"} <= set(values)
    assert (values["input_size"], values["receptive_field"]) == ([32, 48], [435, 435])
    assert values["stages"] == ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "fc"]
    row = {row["name"]: row for row in values["rows"]}["layer4.1.conv1"]
    assert (row["output_map"], row["kernel"], row["used_taps"], row["reach"]) == ([1, 2], [3, 3], 3, "window")


class Cells(html.parser.HTMLParser):
    """The text of every cell; open tags that are never closed are an error."""

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


class Odd(nn.Sequential):
    """A model whose parts have names that are markup."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("<b>&", nn.Conv2d(3, 2, 3))


def test_a_notebook_gets_the_same_cells_and_markup_stays_text() -> None:
    found = rn.report(Odd(), 9)
    parser = Cells()
    parser.feed(found._repr_html_())
    parser.close()
    assert parser.open == []
    assert parser.cells[:9] == [
        "module",
        "kind",
        "map",
        "channels",
        "stride",
        "field",
        "idle taps",
        "MACs",
        "parameters",
    ]
    assert parser.cells[9:] == ["<b>&", "Conv2d", "7x7", "2", "1", "3", "0 %", "2.6 k", "56"]


def test_rich_shows_the_names_and_notes_in_80_columns() -> None:
    found = rn.report(with_meta("resnet50"), 32)
    console = rich.console.Console(file=io.StringIO(), width=80, color_system=None)
    console.print(found)
    text = console.file.getvalue()
    assert all(word in text for word in ("layer4", "1x1", "2048", "427", "37 %", "16.5 M", "15.0 M"))
    assert "".join(found.warnings[0].split()) in "".join(text.split())


# --- pictures


def test_the_picture_shows_what_the_middle_cell_sees() -> None:
    figure = rn.report(torchvision.models.resnet18(num_classes=10), (64, 96)).plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "conv1\n32x48, field 7"
    assert titles[-1] == "layer4\n2x3, field 435"
    field, image = figure.axes[0].patches
    assert (field.get_xy(), field.get_width(), field.get_height()) == (
        (24 * 2 - 3, 16 * 2 - 3),
        7,
        7,
    )  # cell (16, 24), kernel 7, stride 2, padding 3
    assert (image.get_xy(), image.get_width(), image.get_height()) == ((0, 0), 96, 64)
    assert figure.axes[0].yaxis_inverted()


def test_the_picture_is_a_file(tmp_path: object) -> None:
    file = io.BytesIO()
    rn.report(with_meta("swin_t"), 224).plot().savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rn.report(torchvision.models.resnet18(), 32)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it was not there
    with pytest.raises(
        ModuleNotFoundError, match=r"^plot: needs matplotlib, which is not installed; pip install matplotlib$"
    ):
        found.plot()


# --- several sizes


def test_sizes_stand_side_by_side() -> None:
    found = compare(torchvision.models.resnet18(num_classes=10), [32, (64, 96)])
    lines = [line.split() for line in str(found).splitlines()]
    assert lines[0] == ["ResNet:", "11.2", "M", "parameters"]
    assert lines[2] == ["module", "32", "64x96"]
    assert lines[3] == ["conv1", "16x16", "32x48"]
    assert lines[8] == ["layer4", "1x1", "(83", "%", "idle)", "2x3"]
    assert lines[9] == ["MACs", "37.0", "M", "222.1", "M"]
    assert "222.1 M" in found._repr_html_()
    assert [values["input_size"] for values in json.loads(json.dumps(found.to_dict()))["reports"]] == [
        [32, 32],
        [64, 96],
    ]
    assert isinstance(found, Comparison)


def test_comparing_nothing_is_an_error() -> None:
    with pytest.raises(rn.ArgumentError, match="sizes: expected one size or more, got none"):
        compare(nn.Identity(), [])


def test_a_size_that_the_model_refuses_is_named() -> None:
    with pytest.raises(rn.ShapeError, match=r"AlexNet cannot take an image of \(3, 32, 32\)"):
        compare(with_meta("alexnet"), [224, 32])
