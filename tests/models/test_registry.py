"""The published networks have the published counts, by torch's counter and by hand, and work on one small image."""

import functools
import pickle
import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resizenet import ArgumentError, UnknownNameError, create_model, list_models, models
from resizenet.__main__ import main

# Parameters and MACs at 3x32x32 for 10 classes, channels of the last map, and test errors in % on CIFAR-10 and
# CIFAR-100, as published; resnet14_64, resnet9, airnet, se_resnet and the MACs of the first six rows are counted by
# hand below.
FACTS: dict[str, tuple[int, int, int, str]] = {
    "resnet20": (269_722, 40_551_040, 64, "8.75"),
    "resnet32": (464_154, 68_862_592, 64, "7.51"),
    "resnet44": (658_586, 97_174_144, 64, "7.17"),
    "resnet56": (853_018, 125_485_696, 64, "6.97"),
    "resnet110": (1_727_962, 252_887_680, 64, "6.43 6.61"),
    "resnet1202": (19_421_274, 2_829_238_912, 64, "7.93"),
    "preact_resnet20": (272_282, 40_813_184, 64, ""),
    "preact_resnet56": (855_578, 125_747_840, 64, ""),
    "preact_resnet110": (1_730_522, 253_149_824, 64, "6.37"),
    "preact_resnet164": (1_703_258, 247_646_720, 256, "5.46 24.33"),
    "preact_resnet1001": (10_327_706, 1_490_995_712, 256, "4.92 22.71"),
    "wrn_16_4": (2_748_890, 392_612_352, 256, ""),
    "wrn_40_4": (8_949_210, 1_298_582_016, 256, "4.53 21.18"),
    "wrn_16_8": (10_961_370, 1_548_145_664, 512, "4.27 20.43"),
    "wrn_28_10": (36_479_194, 5_243_328_768, 640, "4.00 19.25 3.89 18.85"),
    "resnext29_8x64d": (34_426_698, 5_387_266_048, 1024, "3.65 17.77"),
    "resnext29_16x64d": (68_155_210, 10_688_866_304, 1024, "3.58 17.31"),
    "resnext29_32x4d": (4_775_754, 774_055_936, 1024, ""),
    "resnet18": (11_173_962, 555_422_720, 512, ""),
    "resnet34": (21_282_122, 1_159_402_496, 512, ""),
    "resnet50": (23_520_842, 1_297_829_888, 2048, ""),
    "resnet101": (42_512_970, 2_509_983_744, 2048, ""),
    "resnet152": (58_156_618, 3_722_137_600, 2048, ""),
    "se_resnet20": (274_847, 40_815_200, 64, ""),
    "se_resnet56": (862_889, 125_753_888, 64, ""),
    "se_resnet110": (1_744_952, 253_161_920, 64, ""),
    "resnet14_64": (454_858, 201_261_696, 64, ""),
    "resnet9": (6_573_120, 379_261_952, 512, ""),
    "airnet": (1_971_352, 118_147_360, 256, ""),
}
BLOCKS_PER_STAGE = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18, 1202: 200}  # depth 6n + 2
PROJECTIONS = 16 * 32 * 16**2 + 32 * 64 * 8**2  # MACs of the two 1x1 shortcuts of option B
DEEP = ["preact_resnet1001", "resnet1202"]
EVERY_NAME = [pytest.param(name, marks=[pytest.mark.slow] if name in DEEP else []) for name in list_models()]
SMALL = ["airnet", "preact_resnet20", "resnet14_64", "resnet20", "resnet9", "se_resnet20", "wrn_16_4"]


@functools.cache
def on_meta(name: str, **kwargs: object) -> models.ResNet:
    """In eval mode; shared by the tests, which only count."""
    with torch.device("meta"):
        return create_model(name, **kwargs).eval()


def params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@functools.cache
def macs(model: nn.Module, size: int = 32) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, size, size, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", list_models())
def test_network_has_its_counts(name: str) -> None:
    model = on_meta(name)
    assert (params(model), macs(model), model.num_features) == FACTS[name][:3]


@pytest.mark.parametrize(("depth", "n"), BLOCKS_PER_STAGE.items())
def test_cifar_resnet_has_its_counts_by_formula(depth: int, n: int) -> None:
    expected_params, expected_macs = 97_216 * n - 21_926, 14_155_776 * n - 1_916_288
    assert FACTS[f"resnet{depth}"][:2] == (expected_params, expected_macs)
    if depth != 1202:
        projected = on_meta(f"resnet{depth}", shortcut="projection")
        assert (params(projected), macs(projected)) == (expected_params + 2_752, expected_macs + PROJECTIONS)
    if f"se_resnet{depth}" in FACTS:
        gates = n * sum(2 * channels * (channels // 16) for channels in (16, 32, 64))
        assert FACTS[f"se_resnet{depth}"][1] == expected_macs + PROJECTIONS + gates


def test_reduced_network_has_its_counts() -> None:
    model = on_meta("resnet14_64")
    conv, norm, projection = 9 * 64 * 64, 2 * 64, 64 * 64
    assert params(model) == (27 * 64 + norm) + 12 * (conv + norm) + 2 * (projection + norm) + 65 * 10
    positions = 32**2, 16**2, 8**2
    assert macs(model) == 27 * 64 * positions[0] + 4 * conv * sum(positions) + projection * sum(positions[1:]) + 640


def test_resnet9_has_its_counts() -> None:
    model = on_meta("resnet9")
    convs = [(3, 64, 32), (64, 128, 32), *[(128, 128, 16)] * 2, (128, 256, 16), (256, 512, 8), *[(512, 512, 4)] * 2]
    assert params(model) == sum(9 * a * b + 2 * b for a, b, _ in convs) + 512 * 10  # in, out, side
    assert macs(model) == sum(9 * a * b * side**2 for a, b, side in convs) + 512 * 10


def test_airnet_has_its_counts() -> None:
    model = on_meta("airnet")
    convs = [(24, 64, 31), (64, 64, 15), (64, 256, 15), (256, 256, 7), (256, 256, 7), (256, 256, 3)]  # in, out, side
    stem = 3 * 24 * 2 * 2
    assert params(model) == 24 + sum(9 * a * b + b for a, b, _ in convs) + 256 * 10
    assert macs(model) == stem * 31**2 + sum(9 * a * b * side**2 for a, b, side in convs) + 256 * 10
    fixed = stem + sum(b for _, b, _ in convs)  # of the stem and of BatchNorm
    assert sum(p.numel() for p in model.parameters()) == params(model) + fixed


@pytest.mark.parametrize("name", EVERY_NAME)
def test_hundred_classes_add_one_row_per_class(name: str) -> None:
    hundred = on_meta(name, num_classes=100)
    row = hundred.num_features + (name not in ("resnet9", "airnet"))  # those two have no bias there
    assert params(hundred) == FACTS[name][0] + 90 * row
    if name == "wrn_28_10":
        assert params(hundred) == 36_536_884


@pytest.mark.parametrize(
    ("name", "expected"), [("resnet18", 11_181_642), ("resnet34", 21_289_802), ("resnet50", 23_528_522)]
)
def test_large_stem_gives_torchvisions_counts(name: str, expected: int) -> None:
    assert params(on_meta(name, stem="imagenet")) == expected


def test_stems_of_resnet18_have_their_macs() -> None:
    millions = {stem: round(macs(on_meta("resnet18", stem=stem)) / 1e6) for stem in ("imagenet", "no_pool", "cifar")}
    assert millions == {"imagenet": 37, "no_pool": 141, "cifar": 555}
    assert round(macs(on_meta("resnet18", stem="imagenet"), 224) / 1e6) == 1814


@pytest.mark.parametrize("name", list_models())
def test_builder_documents_counts_source_and_errors(name: str) -> None:
    build = getattr(models, name)
    assert (build.__name__, build.__qualname__) == (name, name)
    assert pickle.loads(pickle.dumps(build)) is build
    count, multiply_accumulates, _, errors = FACTS[name]
    assert f"{count:,} parameters and {multiply_accumulates:,} multiply-accumulates" in build.__doc__
    assert "arXiv" in build.__doc__ or "myrtle.ai" in build.__doc__
    assert all(f"{error} %" in build.__doc__ or f"({error} +-" in build.__doc__ for error in errors.split())
    assert ("Published test error" in build.__doc__) == bool(errors)


def test_command_prints_names_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    _, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert [line[0] for line in lines] == list_models()
    assert ["wrn_28_10", "36.5", "M", "5.2", "G"] in lines


@pytest.mark.parametrize("name", EVERY_NAME)
def test_one_image_of_32_px_passes_every_norm_in_train_mode(name: str) -> None:
    try:
        assert on_meta(name).train()(torch.empty(1, 3, 32, 32, device="meta")).shape == (1, 10)
    finally:
        on_meta(name).eval()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SMALL else [pytest.mark.slow]) for name in list_models()]
)
def test_one_image_of_32_px_trains(name: str) -> None:
    model = create_model(name).train()
    model(torch.rand(1, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert next(p for p in model.stem.parameters() if p.requires_grad).grad.abs().sum() > 0


@pytest.mark.parametrize("name", SMALL)
def test_network_takes_any_size(name: str) -> None:
    model = create_model(name, num_classes=7).eval()
    for size in ((1, 1), (5, 3), (40, 56), (33, 17)):
        assert model(torch.rand(2, 3, *size)).shape == (2, 7)


def test_list_models_takes_a_pattern() -> None:
    assert list_models("wrn*") == ["wrn_16_4", "wrn_16_8", "wrn_28_10", "wrn_40_4"]
    assert list_models("nothing*") == []
    assert set(list_models()) <= set(models.__all__)


def test_arguments_override_the_settings() -> None:
    model = create_model("wrn_16_4", dropout=0.3, stem_width=8, in_channels=1, num_classes=5)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.3] * 6
    assert (model.feature_channels, model.in_channels, model.num_classes) == ((8, 64, 128, 256), 1, 5)


@pytest.mark.parametrize(("name", "hint"), [("wrn_28_1", "; did you mean 'wrn_28_10'"), (["resnet20"], ""), (3, "")])
def test_unknown_name_has_a_hint(name: object, hint: str) -> None:
    expected = f"name: expected one of the 29 names that list_models() lists, got {name!r}{hint}"
    with pytest.raises(UnknownNameError, match=re.escape(expected)):
        create_model(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("wrn_16_4", "dropuot", r"; did you mean 'dropout'\?; the arguments are act, block, .* widths, zero_init$"),
        ("resnet20", "dropout", r"; the arguments are act, block, .* widths, zero_init$"),
        ("resnet20", "stride", r"; did you mean 'strides'\?"),  # the network sets each block's stride
        ("resnet9", "stem", "; the arguments are act, in_channels, norm, num_classes$"),
        ("resnet20", "pretrained", r": create_model\(name, weights=\.\.\.\) .*, models\.load_checkpoint those of"),
    ],
)
def test_unknown_argument_is_named_with_its_function_and_the_options(name: str, argument: str, expected: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"^{name}: unexpected argument '{argument}'{expected}"):
        create_model(name, **{argument: True})


def test_a_builder_says_where_the_weights_are() -> None:
    with pytest.raises(
        UnknownNameError, match=r"^resnet9: unexpected argument 'weights': create_model\(name, weights="
    ):
        models.resnet9(weights="cifar10")


def test_every_listed_option_is_accepted() -> None:
    options = {"bottleneck_ratio": 0.5, "groups": 2, "se_reduction": 4, "zero_init": True, "downsample": "blur"}
    model = create_model("resnext29_32x4d", depths=(1, 1), widths=(8, 16), stem_width=8, **options)
    assert model(torch.rand(2, 3, 16, 16)).shape == (2, 10)


def test_another_block_brings_its_own_options() -> None:
    model = create_model("resnet20", block=models.WideBlock, dropout=0.3)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.3] * 9


def test_pattern_must_be_a_string() -> None:
    with pytest.raises(ArgumentError, match=r"pattern: expected a string such as 'wrn\*', got 3"):
        list_models(3)  # type: ignore[arg-type]
