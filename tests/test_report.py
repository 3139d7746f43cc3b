"""``report``: published tables, independent formulas, and a probe that finds receptive fields with NaNs."""

import copy
import json

import pytest
import torch
import torchvision
from torch import Tensor, nn

import resizenet as rn
from resizenet.geometry import GeometryReport, Row

STEMS = {  # kernel, stride, pool: maps of conv1/pool/layer1..4, output stride, receptive field after layer1..4, MACs in millions (FACTS, section 5)
    "7x7/2 and pool": ((7, 2, True), [16, 8, 8, 4, 2, 1], 32, [43, 99, 211, 435], "37.0 M"),
    "7x7/2": ((7, 2, False), [16, None, 16, 8, 4, 2], 16, [23, 51, 107, 219], "141"),
    "3x3/1 and pool": ((3, 1, True), [32, 16, 16, 8, 4, 2], 16, [21, 49, 105, 217], "140"),
    "3x3/1": ((3, 1, False), [32, None, 32, 16, 8, 4], 8, [11, 25, 53, 109], "555"),
}


def resnet(depth: str, kernel: int = 7, stride: int = 2, pool: bool = True, classes: int = 10) -> nn.Module:
    model = getattr(torchvision.models, depth)(num_classes=classes)
    model.conv1 = nn.Conv2d(3, 64, kernel, stride=stride, padding=kernel // 2, bias=False)
    model.maxpool = model.maxpool if pool else nn.Identity()
    return model


def resnet18_macs(kernel: int, conv_map: int, first_map: int, classes: int) -> int:
    """He et al. 2015, table 1, term by term: 2 blocks of two 3x3 convolutions per stage, 1x1 shortcuts where the width doubles."""
    stages = 4 * 9 * 64 * 64 * first_map**2
    for width, side in ((128, first_map // 2), (256, first_map // 4), (512, first_map // 8)):
        stages += (9 * width // 2 * width + 3 * 9 * width * width + width // 2 * width) * side**2
    return kernel**2 * 3 * 64 * conv_map**2 + stages + 512 * classes


def rows_of(found: GeometryReport) -> dict[str, Row]:
    return {row.name: row for row in found.rows}


# --- published tables


@pytest.mark.parametrize("stem", STEMS)
def test_resnet18_at_32_px_has_the_maps_fields_and_macs_of_the_table(stem: str) -> None:
    arguments, maps, stride, fields, macs = STEMS[stem]
    found = rn.report(resnet("resnet18", *arguments), 32)
    rows = rows_of(found)
    names = ["conv1", "maxpool", *(f"layer{i}" for i in range(1, 5))]
    assert [rows[name].output_map for name in names if arguments[2] or name != "maxpool"] == [(side, side) for side in maps if side]
    assert [rows[f"layer{i}"].receptive_field for i in range(1, 5)] == [(field, field) for field in fields]
    assert found.output_stride == (stride, stride)
    assert found.receptive_field == (fields[-1], fields[-1])
    assert found.macs == resnet18_macs(arguments[0], maps[0], maps[2], 10)
    assert f"{found.macs / 1e6:.1f} M" == macs or f"{found.macs / 1e6:.0f}" == macs


@pytest.mark.parametrize(
    ("depth", "stem", "field"),
    [("resnet34", (7, 2, True), 899), ("resnet34", (3, 1, False), 225), ("resnet50", (7, 2, True), 427), ("resnet50", (3, 1, False), 107)],
)
def test_deeper_resnets_have_the_published_receptive_fields(depth: str, stem: tuple[int, int, bool], field: int) -> None:
    assert rn.report(resnet(depth, *stem), 224).receptive_field == (field, field)


def test_vgg16_and_inception_v3_have_the_receptive_fields_of_araujo_et_al() -> None:
    with torch.device("meta"):
        vgg, inception_v3 = torchvision.models.vgg16(), torchvision.models.inception_v3(init_weights=False)
    assert rows_of(rn.report(vgg, 224))["features.30"].receptive_field == (212, 212)
    inception = rn.report(inception_v3, 299)
    assert (inception.receptive_field, inception.output_stride) == ((1311, 1311), (32, 32))


@pytest.mark.parametrize(("size", "macs"), [(32, "37"), (128, "592"), (224, "1814")])
def test_resnet18_macs_grow_with_the_image(size: int, macs: str) -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), size)
    assert found.macs == resnet18_macs(7, size // 2, size // 4, 10)
    assert f"{found.macs / 1e6:.0f}" == macs
    assert found.params == 11_181_642


@pytest.mark.parametrize(("size", "macs"), [(448, 0.988), (368, 0.818)])
def test_the_published_resizer_has_the_published_macs(size: int, macs: float) -> None:
    found = rn.report(rn.Resizer.paper(224), size)
    head, rest = (49 * 3 * 16 + 16 * 16) * size**2, (3 * 9 * 16 * 16 + 49 * 16 * 3) * 224**2
    assert found.macs == head + rest
    assert round(found.macs / 1e9, 3) == macs


def test_subsampling_shortcuts_have_a_receptive_field() -> None:
    assert rn.report(rn.create_model("resnet20"), 32).receptive_field == (81, 81)  # 3 + 6 * 2 + 2 + 5 * 4 + 4 + 5 * 8


def test_rectangles_have_two_numbers_of_everything() -> None:
    found = rn.report(nn.Conv2d(1, 1, (3, 5), stride=(1, 2)), (11, 13), in_channels=1)
    wrapped = rn.report(nn.Sequential(nn.Conv2d(1, 1, (3, 5), stride=(1, 2))), (11, 13), in_channels=1).rows[0]
    assert found.macs == 3 * 5 * 9 * 5
    assert (wrapped.input_map, wrapped.output_map, wrapped.stride, wrapped.receptive_field) == ((11, 13), (9, 5), (1, 2), (3, 5))


# --- an independent probe


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.long = nn.Sequential(nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, (5, 3), padding=(2, 1)))
        self.short = nn.Conv2d(2, 2, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.long(x) + self.short(x))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(2, 2, (1, 7), padding=(0, 3))
        self.tall = nn.Conv2d(2, 2, (9, 1), padding=(4, 0))
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.wide(x), self.tall(x), self.pool(x)], 1)


NETS = {
    "strided and dilated": lambda: nn.Sequential(nn.Conv2d(2, 3, 3, stride=2), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, dilation=2), nn.Conv2d(2, 1, 2)),
    "pools": lambda: nn.Sequential(nn.Conv2d(2, 2, 5, padding=2), nn.MaxPool2d(3, 2, padding=1), nn.AvgPool2d(2), nn.Conv2d(2, 2, 3)),
    "dilated max pool": lambda: nn.Sequential(nn.MaxPool2d(3, 1, dilation=3), nn.Conv2d(2, 2, 2, stride=3), nn.Hardtanh()),
    "residual": lambda: nn.Sequential(Residual(), Residual()),
    "branches": lambda: nn.Sequential(nn.Conv2d(2, 2, 3, stride=(1, 2)), Branches()),
    "grouped": lambda: nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(4, 4, (3, 1), stride=(2, 1), groups=4), nn.SiLU()),
    "option A": lambda: nn.Sequential(rn.models.ResNet(rn.models.BasicBlock, (1, 1), (2, 4), in_channels=2, num_classes=0, shortcut="pad").stages),
}


def poisoned_fields(net: nn.Module, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(receptive field, stride), by axis: a NaN spreads to every cell that sees it, whatever the weights."""
    fields, strides = [], []
    for axis, length in enumerate(size):
        x = torch.ones(length, 2, *size)
        for line in range(length):
            x[line].select(axis + 1, line).fill_(torch.nan)
        with torch.no_grad():
            seen = net.eval()(x).isnan().any(1).any(2 - axis)  # (line of the image, line of the map)
        middle = seen.shape[1] // 2
        first, after = (seen[:, cell].nonzero() for cell in (middle, middle + 1))
        assert first.min() > 0
        assert after.max() < length - 1
        fields.append(int(first.max() - first.min()) + 1)
        strides.append(int(after.min() - first.min()))
    return (fields[0], fields[1]), (strides[0], strides[1])


@pytest.mark.parametrize("name", NETS)
def test_receptive_fields_are_those_that_a_probe_finds(name: str) -> None:
    net = NETS[name]()
    last = [row for row in rn.report(net, (61, 67), in_channels=2).rows if row.parent == ""][-1]
    assert (last.receptive_field, last.stride) == poisoned_fields(net, (61, 67))


@pytest.mark.parametrize("layer", [nn.ConvTranspose2d(2, 2, 3, stride=2), nn.Upsample(scale_factor=2), nn.AdaptiveAvgPool2d(3)], ids=lambda m: type(m).__name__)
def test_a_field_that_is_no_window_is_unknown_rather_than_wrong(layer: nn.Module) -> None:
    row = rn.report(nn.Sequential(layer), (17, 19), in_channels=2).rows[0]
    assert (row.receptive_field, row.stride) == (None, None)


# --- the model is left alone


def test_the_model_is_left_as_it_was() -> None:
    model = torchvision.models.resnet18().train()
    model.layer1.eval()
    model.fc.weight.requires_grad_(False)
    model.fc.register_forward_hook(lambda module, args, output: None)
    before = copy.deepcopy(model.state_dict())
    identities = {name: (id(t), t._version, t.requires_grad, t.grad) for name, t in [*model.named_parameters(), *model.named_buffers()]}
    training = {name: module.training for name, module in model.named_modules()}
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    rn.report(model, 32)
    assert identities == {name: (id(t), t._version, t.requires_grad, t.grad) for name, t in [*model.named_parameters(), *model.named_buffers()]}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert training == {name: module.training for name, module in model.named_modules()}
    assert attributes == {name: set(vars(module)) for name, module in model.named_modules()}
    assert [len(module._forward_hooks) for module in (model, model.fc)] == [0, 1]
    assert not torch.nn.modules.module._global_forward_hooks


def test_the_model_is_left_as_it_was_after_a_failure_too() -> None:
    model = torchvision.models.AlexNet().train()
    with pytest.raises(rn.ShapeError):
        rn.report(model, 32)
    assert all(module.training for module in model.modules())
    assert not torch.nn.modules.module._global_forward_hooks


def test_half_precision_models_are_reported_too() -> None:
    assert rn.report(torchvision.models.resnet18(num_classes=10).bfloat16(), 32).macs == resnet18_macs(7, 16, 8, 10)


# --- words


def test_a_small_image_is_warned_about_and_answered() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), 32)
    assert found.warnings == (
        "layer3: 2x2 map, where a 3x3 kernel uses 4 of 9 taps; 19 % of the parameters",
        "layer4: 1x1 map, where a 3x3 kernel uses 1 of 9 taps; 75 % of the parameters",
        "from layer1 on, the receptive field (43 px) exceeds the image",
    )
    assert [suggestion.partition(":")[0] for suggestion in found.suggestions] == ["resizenet.adapt(model, 32)", "resizenet.transforms.UpscalePolicy(128)"]


def test_the_suggestions_do_what_they_promise() -> None:
    model = torchvision.models.resnet18(num_classes=10)
    adapted, upscaled = rn.report(rn.adapt(model, 32), 32), rn.report(model, 128)
    assert adapted.final.output_map == upscaled.final.output_map == (4, 4)
    assert adapted.suggestions == upscaled.suggestions == ()
    assert upscaled.macs < 16 * rn.report(model, 32).macs + 1


def test_an_image_that_fits_is_only_told_about_the_field() -> None:
    found = rn.report(torchvision.models.resnet18(), 224)
    assert found.warnings == ("from layer4 on, the receptive field (435 px) exceeds the image",)
    assert found.suggestions == ()


def test_rectangles_are_suggested_as_rectangles() -> None:
    found = rn.report(torchvision.models.resnet18(), (32, 48))
    assert found.suggestions[1].startswith("resizenet.transforms.UpscalePolicy((128, 192)): a 4x8 last map")


def test_the_table_names_what_matters() -> None:
    text = str(rn.report(torchvision.models.resnet18(num_classes=10), (32, 48)))
    assert text.startswith("ResNet at 3x32x48: ")
    assert [line.split()[0] for line in text.splitlines()[3:10]] == ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_model_without_maps_has_neither_stride_nor_field() -> None:
    found = rn.report(nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 7, 2)), (5, 7))
    assert (found.final, found.output_stride, found.receptive_field, found.suggestions, found.warnings) == (None, None, None, (), ())
    assert (found.macs, found.params) == (210, 212)
    assert str(found)


def test_the_dict_is_json() -> None:
    found = rn.report(torchvision.models.resnet18(num_classes=10), (32, 48))
    values = json.loads(json.dumps(found.to_dict()))
    assert {"model", "input_size", "rows", "warnings", "suggestions", "macs", "params", "output_stride", "receptive_field"} <= set(values)
    assert values["input_size"] == [32, 48]
    assert values["receptive_field"] == [435, 435]
    assert {row["name"]: row["output_map"] for row in values["rows"]}["layer4"] == [1, 2]


def test_an_image_that_is_too_small_is_a_shape_error_with_the_models_own_words() -> None:
    with pytest.raises(rn.ShapeError, match=r"Inception3 cannot take an image of \(3, 32, 32\): .*[Kk]ernel size"):
        rn.report(torchvision.models.inception_v3(init_weights=False), 32)
    with pytest.raises(rn.ShapeError, match="ResNet cannot take an image of"):
        rn.report(torchvision.models.resnet18(), 32, in_channels=4)
