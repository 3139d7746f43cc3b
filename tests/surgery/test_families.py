"""Test ``adapt`` on the ResNets and DenseNets of torchvision, timm and resizenet, with every stem."""

import copy
import subprocess
import sys
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from timm.layers import BlurPool2d
from torch import Tensor, nn

import resizenet as rn

TV, TIMM = torchvision.models, timm.models


def timm_resnet(**options: object) -> nn.Module:
    widths = {"channels": (8, 16, 24, 32), "stem_width": 8}
    return TIMM.resnet.ResNet(TIMM.resnet.BasicBlock, (1, 1, 1, 1), num_classes=5, **widths, **options)


def timm_densenet(**options: object) -> nn.Module:
    return TIMM.densenet.DenseNet(growth_rate=8, block_config=(1, 1, 1, 1), num_classes=5, **options)


def our_resnet() -> nn.Module:
    return rn.models.ResNet(rn.models.BasicBlock, (1, 1), (8, 16), stem="imagenet", num_classes=5)


RESNET = ("conv1", "layer1", "fc")  # the first convolution, the layer behind the stem, the classifier
DEEP = ("conv1.0", "layer1", "fc")
DENSENET = ("features.conv0", "features.denseblock1", "classifier")
SMALL: dict[str, tuple[Callable[[], nn.Module], tuple[str, str, str]]] = {
    "torchvision resnet": (lambda: TV.ResNet(TV.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5), RESNET),
    "torchvision densenet": (lambda: TV.DenseNet(8, (1, 1, 1, 1), 8, num_classes=5), DENSENET),
    "ours": (our_resnet, ("stem.conv", "stages", "fc")),
    "timm resnet": (timm_resnet, RESNET),
    "deep stem": (lambda: timm_resnet(stem_type="deep"), DEEP),
    "tiered stem": (lambda: timm_resnet(stem_type="deep_tiered", avg_down=True), DEEP),
    "squeeze and excite": (lambda: timm_resnet(block_args={"attn_layer": "se"}), RESNET),
    "group norm": (lambda: timm_resnet(norm_layer="groupnorm1"), RESNET),
    "replaced pool": (lambda: timm_resnet(stem_type="deep", replace_stem_pool=True), DEEP),
    "blur pool": (lambda: timm_resnet(aa_layer=BlurPool2d), RESNET),
    "average pool": (lambda: timm_resnet(aa_layer=nn.AvgPool2d), RESNET),
    "replaced and blurred": (lambda: timm_resnet(replace_stem_pool=True, aa_layer=BlurPool2d), RESNET),
    "timm densenet": (timm_densenet, DENSENET),
    "deep blurred densenet": (lambda: timm_densenet(stem_type="deep", aa_layer=BlurPool2d), DENSENET),
}
STRIDES = {"keep": 4, "no_pool": 2, "cifar": 1, "fold": 2}


def map_behind_the_stem(model: nn.Module, path: str, image: Tensor) -> tuple[int, ...]:
    """Size of the map that the module at ``path`` is given."""
    seen: list[tuple[int, ...]] = []
    part = model.get_submodule(path)

    def record(module: nn.Module, args: tuple[Tensor | list[Tensor], ...]) -> None:
        seen.append((args[0][0] if isinstance(args[0], list) else args[0]).shape[-2:])

    (part.denselayer1 if isinstance(part, nn.ModuleDict) else part).register_forward_pre_hook(record)
    model(image)
    return seen[0]


@pytest.mark.parametrize("stem", STRIDES)
@pytest.mark.parametrize("name", SMALL)
def test_each_stem_has_its_stride_and_only_new_layers_get_new_weights(name: str, stem: str) -> None:
    build, (conv, after_stem, classifier) = SMALL[name]
    model = build().eval()
    adapted = rn.adapt(model, 32, stem=stem, in_channels=2, num_classes=7)
    assert adapted.get_submodule(conv).in_channels == 2
    assert adapted(torch.rand(3, 2, 64, 96)).shape == (3, 7)
    expected = (64 // STRIDES[stem], 96 // STRIDES[stem])
    assert map_behind_the_stem(adapted, after_stem, torch.rand(1, 2, 64, 96)) == expected

    before, after = model.state_dict(), rn.adapt(model, 32, stem=stem, num_classes=7).state_dict()
    assert before.keys() == after.keys()
    assert not {t.data_ptr() for t in before.values()} & {t.data_ptr() for t in after.values()}
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    stays_3x3 = stem == "cifar" and model.get_submodule(conv).kernel_size == (3, 3)
    filters = set() if stem in ("keep", "no_pool") or stays_3x3 else {f"{conv}.weight"}
    assert changed == {f"{classifier}.weight", f"{classifier}.bias", *filters}


@pytest.mark.parametrize("name", SMALL)
def test_the_response_of_a_folded_stem_is_that_of_the_old_one_to_the_upscaled_image(name: str) -> None:
    build, (conv, _, _) = SMALL[name]
    model, image = build().double(), torch.rand(2, 3, 23, 31, dtype=torch.float64)
    upscaled = nn.functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
    small, large = rn.adapt(model, 32, stem="fold").get_submodule(conv)(image), model.get_submodule(conv)(upscaled)
    assert small.shape == large.shape
    torch.testing.assert_close(small[..., 2:-2, 2:-2], large[..., 2:-2, 2:-2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"aa_layer": BlurPool2d}])
def test_a_pool_with_weights_keeps_them_and_loses_its_stride(options: dict[str, object]) -> None:
    model = timm_resnet(replace_stem_pool=True, **options)
    adapted = rn.adapt(model, 32)
    assert torch.equal(adapted.maxpool[0].weight, model.maxpool[0].weight)
    assert adapted.maxpool[0].stride == (1, 1)
    assert not any(isinstance(layer, BlurPool2d) for layer in adapted.maxpool)
    assert model.maxpool[0].stride == ((1, 1) if options else (2, 2))


@pytest.mark.parametrize(("build", "name"), [(timm_densenet, "in_chans"), (our_resnet, "in_channels")])
def test_the_numbers_that_a_model_keeps_are_updated(build: Callable[[], nn.Module], name: str) -> None:
    model = build()
    adapted = rn.adapt(model, 32, in_channels=1, num_classes=7)
    assert (getattr(adapted, name), adapted.num_classes, adapted.get_classifier().out_features) == (1, 7, 7)
    assert (getattr(model, name, 3), model.num_classes) == (3, 5)


@pytest.mark.parametrize("stem", STRIDES)
@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith(("torchvision", "ours"))])
def test_timm_models_know_the_strides_of_their_maps(name: str, stem: str) -> None:
    model = SMALL[name][0]()
    before = copy.deepcopy(model.feature_info)
    adapted = rn.adapt(model, 32, stem=stem).eval()
    sides: list[int] = []
    for info in adapted.feature_info:
        module = adapted.get_submodule(info["module"])
        module.register_forward_hook(lambda module, args, out: sides.append(out.shape[-1]))
    adapted(torch.rand(1, 3, 64, 64))
    assert [info["reduction"] for info in adapted.feature_info] == [64 // side for side in sides]
    assert model.feature_info == before


def test_timm_feature_extractors_know_the_strides_of_an_adapted_model() -> None:
    extract = TIMM._features.FeatureGetterNet(rn.adapt(timm_resnet(), 32, inplace=True), out_indices=(1, 2, 3, 4))
    assert extract.feature_info.reduction() == [1, 2, 4, 8]
    assert [32 // found.shape[-1] for found in extract.eval()(torch.rand(1, 3, 32, 32))] == [1, 2, 4, 8]


@pytest.mark.parametrize("side", [*range(17, 130), 160, 224])
def test_the_automatic_stem_leaves_at_least_3x3_positions_from_17_px(side: int) -> None:
    with torch.device("meta"):
        model = rn.adapt(TV.ResNet(TV.resnet.BasicBlock, [1, 1, 1, 1]), side).eval()
        stem = nn.Sequential(model.conv1, model.maxpool)
        stages = nn.Sequential(model.layer1, model.layer2, model.layer3, model.layer4)
        last = stages(stem(torch.empty(1, 3, side, side)))
    assert last.shape[-1] >= (4 if side in (32, 64, 128) else 3)


# --- by name: every architecture of torchvision, and many of timm's

TORCHVISION = [
    name for name in TV.list_models(module=TV) if name.startswith(("resnet", "resnext", "wide_resnet", "densenet"))
]
FROM_TIMM = [
    *("resnet10t", "resnet14t", "resnet18", "resnet26d", "resnet34d", "resnet50_gn", "resnet50c", "resnet50s"),
    *("resnet101d", "wide_resnet50_2", "resnext50d_32x4d", "resnetaa34d", "resnetaa50d", "resnetblur18"),
    *("resnetblur50d", "resnetrs50", "resnetrs152", "senet154", "seresnet50t", "seresnext26d_32x4d"),
    *("seresnextaa101d_32x8d", "ecaresnet26t", "ecaresnetlight", "ecaresnext50t_32x4d", "skresnet18", "resnest14d"),
    *("res2net50_14w_8s", "densenet121", "densenet264d", "densenetblur121d", "test_resnet"),
]
QUICK = {
    *("resnet18", "wide_resnet50_2", "densenet121", "resnet10t", "resnetblur18", "resnetrs50"),
    *("seresnext26d_32x4d", "test_resnet"),
}


def by_name() -> list[object]:
    known = [(TV.get_model, name) for name in TORCHVISION] + [(timm.create_model, name) for name in FROM_TIMM]
    return [
        pytest.param(
            build,
            name,
            id=f"{build.__module__.partition('.')[0]}-{name}",
            marks=[] if name in QUICK else pytest.mark.slow,
        )
        for build, name in known
    ]


def test_torchvision_has_14_architectures_to_adapt() -> None:
    assert len(TORCHVISION) == 14


@pytest.mark.parametrize(("build", "name"), by_name())
def test_architectures_by_name_take_any_size(build: Callable[[str], nn.Module], name: str) -> None:
    with torch.device("meta"):
        model = build(name).eval()
        for side in (8, 32, 64, 96, 224) if name not in QUICK else (8, 224):
            adapted = rn.adapt(model, side, in_channels=5, num_classes=7, stem_weights="pinv")
            assert adapted(torch.empty(2, 5, side, side)).shape == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "name"), [(TV.get_model, "resnet50"), (TV.get_model, "densenet121"), (timm.create_model, "resnetrs50")]
)
def test_architectures_by_name_compute_at_32_px(build: Callable[[str], nn.Module], name: str) -> None:
    adapted = rn.adapt(build(name), 32, num_classes=7)
    out = adapted(torch.rand(4, 3, 32, 32))
    out.sum().backward()
    assert out.isfinite().all()


def test_timm_is_not_imported() -> None:
    probe = """
import sys, torch, torchvision, resizenet
resizenet.adapt(torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]), 32)
assert "timm" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
