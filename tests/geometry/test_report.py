"""Test ``report`` against published tables and independent formulas, and that the model is unchanged."""

import copy
import warnings

import pytest
import torch
import torchvision
from torch import nn

import resizenet as rn
from resizenet.geometry import GeometryReport, Row

# (kernel, stride, pool), maps of conv1, pool and layer1 to layer4, output stride, fields of layer1 to layer4, MACs
STEMS = {
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
    """He et al. 2015, table 1: 2 blocks of two 3x3 convolutions per stage, 1x1 shortcuts where the width doubles."""
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
    assert [rows[name].output_map for name in names if arguments[2] or name != "maxpool"] == [
        (side, side) for side in maps if side
    ]
    assert [rows[f"layer{i}"].receptive_field for i in range(1, 5)] == [(field, field) for field in fields]
    assert found.output_stride == (stride, stride)
    assert found.receptive_field == (fields[-1], fields[-1])
    assert found.macs == resnet18_macs(arguments[0], maps[0], maps[2], 10)
    assert f"{found.macs / 1e6:.1f} M" == macs or f"{found.macs / 1e6:.0f}" == macs


@pytest.mark.parametrize(
    ("depth", "stem", "field"),
    [
        ("resnet34", (7, 2, True), 899),
        ("resnet34", (3, 1, False), 225),
        ("resnet50", (7, 2, True), 427),
        ("resnet50", (3, 1, False), 107),
    ],
)
def test_deeper_resnets_have_the_published_receptive_fields(
    depth: str, stem: tuple[int, int, bool], field: int
) -> None:
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


def inverted(*stages: tuple[int, int, int]) -> list[tuple[int, int]]:
    """(kernel, blocks, stride of the first) of each stage of depthwise windows, behind a 3x3 stem of stride 2."""
    return [(3, 2), *((kernel, stride if i == 0 else 1) for kernel, blocks, stride in stages for i in range(blocks))]


DENSE = [*[(3, 1)] * 6, (2, 2), *[(3, 1)] * 12, (2, 2), *[(3, 1)] * 24, (2, 2), *[(3, 1)] * 16]
LONGEST_PATHS = {  # (kernel, stride) of every window above 1x1, from the papers; GoogLeNet with 3x3 for 5x5
    "densenet121": [(7, 2), (3, 2), *DENSE],
    "googlenet": [(7, 2), (3, 2), (3, 1), (3, 2), *[(3, 1)] * 2, (3, 2), *[(3, 1)] * 5, (2, 2), *[(3, 1)] * 2],
    "mobilenet_v2": inverted((3, 1, 1), (3, 2, 2), (3, 3, 2), (3, 4, 2), (3, 3, 1), (3, 3, 2), (3, 1, 1)),
    "efficientnet_b0": inverted((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 3, 2), (5, 3, 1), (5, 4, 2), (3, 1, 1)),
    "convnext_tiny": [(4, 4), *[(7, 1)] * 3, (2, 2), *[(7, 1)] * 3, (2, 2), *[(7, 1)] * 9, (2, 2), *[(7, 1)] * 3],
}


@pytest.mark.parametrize("name", LONGEST_PATHS)
def test_field_and_stride_of_other_networks_are_the_sums_over_their_windows(name: str) -> None:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's, about GoogLeNet's initialisation
        found = rn.report(torchvision.models.get_model(name), 224)
    field = stride = 1
    for kernel, step in LONGEST_PATHS[name]:
        field, stride = field + (kernel - 1) * stride, stride * step
    assert (found.receptive_field, found.output_stride) == ((field, field), (stride, stride))


@pytest.mark.parametrize(("size", "macs"), [(448, 0.988), (368, 0.818)])
def test_the_paper_resizer_has_the_published_macs(size: int, macs: float) -> None:
    found = rn.report(rn.Resizer.paper(224), size)
    head, rest = (49 * 3 * 16 + 16 * 16) * size**2, (3 * 9 * 16 * 16 + 49 * 16 * 3) * 224**2
    assert found.macs == head + rest
    assert round(found.macs / 1e9, 3) == macs


def test_subsampling_shortcuts_have_a_receptive_field() -> None:
    assert rn.report(rn.create_model("resnet20"), 32).receptive_field == (81, 81)  # 3 + 6 * 2 + 2 + 5 * 4 + 4 + 5 * 8


def test_rectangular_kernels_and_strides() -> None:
    found = rn.report(nn.Sequential(nn.Conv2d(1, 1, (3, 5), stride=(1, 2))), (11, 13), in_channels=1)
    row = found.rows[0]
    assert found.macs == 3 * 5 * 9 * 5
    assert (row.input_map, row.output_map) == ((11, 13), (9, 5))
    assert (row.stride, row.receptive_field) == ((1, 2), (3, 5))


# --- the model is unchanged


def global_hooks() -> int:
    return len(nn.modules.module._global_forward_hooks) + len(nn.modules.module._global_forward_pre_hooks)


def test_the_model_is_unchanged() -> None:
    model = torchvision.models.resnet18().train()
    model.layer1.eval()
    model.fc.weight.requires_grad_(False)
    model.fc.register_forward_hook(lambda module, args, output: None)

    def state() -> list[object]:
        tensors = [*model.named_parameters(), *model.named_buffers()]
        return [
            {name: (id(t), t._version, t.requires_grad, t.grad) for name, t in tensors},
            {name: (module.training, set(vars(module))) for name, module in model.named_modules()},
            [len(module._forward_hooks) for module in (model, model.fc)],
        ]

    values, before = copy.deepcopy(model.state_dict()), state()
    rn.report(model, 32)
    assert state() == before
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
    assert global_hooks() == 0


def test_half_precision_models_are_reported() -> None:
    assert rn.report(torchvision.models.resnet18(num_classes=10).bfloat16(), 32).macs == resnet18_macs(7, 16, 8, 10)


def test_a_failure_has_the_error_of_the_model_and_leaves_it_unchanged() -> None:
    model = torchvision.models.AlexNet().train()
    with pytest.raises(rn.ShapeError, match=r"AlexNet cannot take an image of \(3, 32, 32\): .*[Oo]utput size"):
        rn.report(model, 32)
    assert all(module.training for module in model.modules())
    assert global_hooks() == 0


def test_a_wrong_number_of_channels_is_a_shape_error() -> None:
    with pytest.raises(rn.ShapeError, match="ResNet cannot take an image of"):
        rn.report(torchvision.models.resnet18(), 32, in_channels=4)
