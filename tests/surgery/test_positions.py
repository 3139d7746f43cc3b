"""Position embeddings and windows at another size, against models that are built for this size."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import MaxVit, VisionTransformer
from torchvision.models.maxvit import _get_relative_position_index
from torchvision.models.vision_transformer import interpolate_embeddings

import resizenet as rn
from resizenet._tracing import skeleton
from resizenet.functional import resize_filter, resize_positions
from resizenet.surgery import plan
from resizenet.surgery._positions import fit_positions

SMALL = {"depth": 2, "embed_dim": 24, "num_heads": 3, "num_classes": 5}


def torchvision_vit(side: int = 56, patch: int = 8) -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(side, patch, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=48, num_classes=5).eval()
    nn.init.normal_(model.heads.head.weight)
    return model


def timm_vit(name: str = "vit_tiny_patch16_224", **options: Any) -> Any:
    torch.manual_seed(0)
    return timm.create_model(name, **({**SMALL, "img_size": 56, "patch_size": 8} | options)).eval()


def maxvit(side: int, partition: int) -> MaxVit:
    torch.manual_seed(0)
    return MaxVit(
        (side, side), 8, partition, block_channels=[8, 16], block_layers=[1, 2], head_dim=4, stochastic_depth_prob=0.0
    ).eval()


def swin(side: int = 64, **options: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"embed_dim": 12, "depths": (2, 2), "num_heads": (2, 3), "window_size": 8, "num_classes": 5}
    return timm.create_model("swin_tiny_patch4_window7_224", img_size=side, **sizes | options).eval()


def fitted(model: nn.Module, size: int | tuple[int, int], convention: str = "timm") -> tuple[Any, list[str]]:
    """Return the fitted copy and what changed; a copy without values has to change in the same way."""
    size = (size, size) if isinstance(size, int) else size
    changed, bare = copy.deepcopy(model), skeleton(model)
    changes = fit_positions(changed, size, convention)
    assert fit_positions(bare, size, convention) == changes
    shapes = [{name: value.shape for name, value in part.state_dict().items()} for part in (bare, changed)]
    assert shapes[0] == shapes[1]
    return changed, [f"{change.path}: {change}" for change in changes]


def new_stride(conv: nn.Conv2d, stride: int) -> None:
    conv.weight = nn.Parameter(resize_filter(conv.weight.detach(), stride, method="pinv"))
    conv.kernel_size = conv.stride = (stride, stride)


# --- vision transformers


def test_torchvisions_vit_gets_the_embeddings_of_interpolate_embeddings() -> None:
    model = torchvision_vit()
    small, changes = fitted(model, 32, "torchvision")
    assert changes == ["encoder: grid 7x7 -> 4x4 (torchvision)"]
    built = torchvision_vit(32)
    built.load_state_dict(interpolate_embeddings(32, 8, dict(model.state_dict())))
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(small(x), built(x))
    assert (small.image_size, small.patch_size, small.seq_length) == (32, 8, 17)


def test_torchvisions_vit_takes_smaller_patches() -> None:
    model = torchvision_vit()
    new_stride(model.conv_proj, 4)
    small, changes = fitted(model, 32)
    assert changes == ["encoder: grid 7x7 -> 8x8 (timm)"]
    assert small(torch.rand(2, 3, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize("size", [(32, 48), (4, 4)])
def test_torchvisions_vit_refuses_what_its_forward_refuses(size: tuple[int, int]) -> None:
    message = f"takes square images of at least one patch, got {size[0]}x{size[1]} for patches of 8"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        fit_positions(torchvision_vit(), size, "timm")


TIMM = {
    "class token": ({}, 1),
    "no class token": ({"class_token": False, "global_pool": "avg"}, 0),
    "registers": ({"reg_tokens": 4}, 5),
    "registers without positions": ({"reg_tokens": 4, "no_embed_class": True}, 0),
}


@pytest.mark.parametrize("case", TIMM)
@pytest.mark.parametrize(("size", "grid"), [((32, 32), (4, 4)), ((56, 24), (7, 3)), ((8, 392), (1, 49))])
def test_timms_vit_gets_the_embeddings_of_its_explicit_grid(
    case: str, size: tuple[int, int], grid: tuple[int, int]
) -> None:
    """The last grid has as many patches as the old one."""
    options, prefix = TIMM[case]
    model = timm_vit(**options)
    small, changes = fitted(model, size)
    assert changes == [f": grid 7x7 -> {grid[0]}x{grid[1]} (timm)"]
    expected = resample_abs_pos_embed(model.pos_embed, list(grid), [7, 7], num_prefix_tokens=prefix)
    torch.testing.assert_close(small.pos_embed, expected, rtol=0, atol=1e-6)
    assert small(torch.rand(2, 3, *size)).shape == (2, 5)


def test_the_convention_decides_about_timms_vit() -> None:
    model = timm_vit()
    for convention in ("torchvision", "dinov2"):
        expected = resize_positions(model.pos_embed, 7, 4, convention=convention, num_prefix_tokens=1)
        assert torch.equal(fitted(model, 32, convention)[0].pos_embed, expected)


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "eva02_tiny_patch14_224", "cait_xxs24_224"])
def test_other_transformers_of_timm_run_at_another_size_and_patch(name: str) -> None:
    options = {"eva02_tiny_patch14_224": {"num_heads": 3}, "cait_xxs24_224": {"num_heads": 2}}
    model = timm_vit(name, **options.get(name, {}))
    new_stride(model.patch_embed.proj, 4)
    small, changes = fitted(model, (32, 48))
    assert changes == [": grid 7x7 -> 8x12 (timm)"]
    assert small(torch.rand(2, 3, 32, 48)).shape == (2, 5)


def test_tables_that_timm_resizes_are_named() -> None:
    small, changes = fitted(timm_vit("beit_base_patch16_224"), 32)
    assert changes == [f"blocks.{block}.attn: window 7x7 -> 4x4 (timm)" for block in (0, 1)]
    assert small(torch.rand(2, 3, 32, 32)).shape == (2, 5)


@pytest.mark.parametrize("make", [torchvision_vit, timm_vit, swin, lambda: maxvit(64, 4)])
def test_nothing_changes_at_the_recorded_size(make: Callable[[], nn.Module]) -> None:
    model = make()
    before = dict(model.named_parameters())
    side = 64 if isinstance(model, (MaxVit, timm.models.SwinTransformer)) else 56
    assert fit_positions(model, (side, side), "timm") == []
    assert all(parameter is before[name] for name, parameter in model.named_parameters())


def test_embeddings_that_are_not_trained_stay_so() -> None:
    model = timm_vit()
    model.pos_embed.requires_grad_(False)
    small, _ = fitted(model, 32)
    assert not small.pos_embed.requires_grad
    assert small.cls_token.requires_grad


def convnext() -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 8, 8), num_classes=5).eval()
    nn.init.normal_(model.head.fc.weight)
    return model


FOLDED = {  # the model, the side for which it was made, and the stride of its last map
    "torchvision vit": (lambda: torchvision_vit(112, 16), 112, 16),
    "timm vit": (lambda: timm_vit(img_size=112, patch_size=16), 112, 16),
    "timm swin": (swin, 64, 8),
    "timm convnext": (convnext, 64, 32),
}


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", FOLDED)
def test_a_folded_model_computes_what_it_computes_on_the_upscaled_image(name: str, scale: int) -> None:
    make, large, stride = FOLDED[name]
    model, small = make().double(), large // scale
    options = {"output_stride": stride // scale} if name == "timm convnext" else {}  # it has recorded no size
    planned = plan(model, small, stem="fold", **options)
    assert (planned.output_stride, planned.fitted) == ((stride, stride // scale), ())
    assert ("padding mode", "zeros", "replicate") in {(c.what, c.before, c.after) for c in planned.changes}
    x = torch.rand(2, 3, small, small, dtype=torch.float64)
    expected = model(F.interpolate(x, (large, large), mode="bilinear"))
    torch.testing.assert_close(planned.apply(model)(x), expected, rtol=0, atol=1e-12)


def test_the_first_patches_of_a_vit_for_224_px_are_folded_by_4_at_56_px() -> None:
    model = timm.create_model("vit_tiny_patch16_224", depth=1)
    folded = rn.adapt(model, 56, stem="fold").patch_embed.proj
    assert (folded.kernel_size, folded.stride, folded.padding, folded.padding_mode) == (
        (6, 6),
        (4, 4),
        (1, 1),
        "replicate",
    )
    assert [rn.adapt(model, side, stem="fold").patch_embed.proj.stride[0] for side in (32, 112)] == [8, 8]


# --- transformers


@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
@pytest.mark.parametrize("name", ["ViT", "Dinov2"])
def test_models_of_transformers_keep_their_configuration_true(name: str, size: tuple[int, int]) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3, "image_size": 56, "patch_size": 8}
    config = getattr(transformers, f"{name}Config")(**sizes)
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForImageClassification")(config).eval()
    embeddings = next(module for module in model.modules() if hasattr(module, "position_embeddings"))
    new_stride(embeddings.patch_embeddings.projection, 4)
    small, changes = fitted(model, size)
    assert len(changes) == (name == "ViT" or size == (32, 32))
    assert small(torch.rand(2, 3, *size)).logits.shape == (2, 2)
    assert (small.config.patch_size, small.config.image_size) == (4, 32 if size == (32, 32) else size)
    if size == (32, 32):
        built = type(model)(small.config).eval()
        built.load_state_dict(small.state_dict())
        x = torch.rand(2, 3, *size)
        torch.testing.assert_close(built(x).logits, small(x).logits)


# --- windows


@pytest.mark.parametrize(("side", "partition"), [(32, 4), (96, 6), (40, 5), (224, 7)])
def test_torchvisions_maxvit_is_the_one_built_for_the_size(side: int, partition: int) -> None:
    model = maxvit(112, 7)
    small, changes = fitted(model, side)
    assert changes == ([f": window 7x7 -> {partition}x{partition} (timm)"] if partition != 7 else [])
    built = maxvit(side, partition)
    state = dict(model.state_dict())
    for name, value in state.items():
        if name.endswith("bias_table") and partition != 7:
            state[name] = resize_positions(value, 13, 2 * partition - 1)
        elif name.endswith("position_index"):
            state[name] = _get_relative_position_index(partition, partition)
    built.load_state_dict(state)
    x = torch.rand(2, 3, side, side)
    torch.testing.assert_close(small(x), built(x))


def test_a_maxvit_without_a_common_window_is_refused() -> None:
    with pytest.raises(
        rn.UnsupportedModelError, match=r"maps of 11x11, 6x6 have no common one larger than one position"
    ):
        fit_positions(maxvit(112, 7), (44, 44), "timm")
    with pytest.raises(rn.UnsupportedModelError, match=r"takes square images only, and a map is 14x28"):
        fit_positions(maxvit(112, 7), (56, 112), "timm")


def test_timms_swin_gets_windows_in_proportion_to_its_maps() -> None:
    model = swin(56, window_size=7)
    new_stride(model.patch_embed.proj, 2)
    small, changes = fitted(model, (16, 32))
    assert len(changes) == 4
    assert changes[0].startswith("layers.0.blocks.0: window 7x7 -> ")
    assert small(torch.rand(2, 3, 16, 32)).shape == (2, 5)


@pytest.mark.parametrize("name", ["maxvit_rmlp_pico_rw_256", "coatnet_nano_rw_224"])
@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_timms_maxvit_and_coatnet_run_at_another_size(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, embed_dim=(32,) * 4, depths=(1,) * 4, stem_width=32).eval()
    model.stem.conv1.stride = (1, 1)
    small, changes = fitted(model, size)
    assert changes
    assert all(" -> 4x4" in change or " -> 4x6" in change or "coatnet" in name for change in changes)
    with torch.inference_mode():
        assert small(torch.rand(2, 3, *size)).shape == (2, 5)


def test_the_first_window_of_a_table_that_is_resized_by_timm_is_symmetric() -> None:
    model: Any = swin(56, window_size=7)
    table: Tensor = model.layers[0].blocks[0].attn.relative_position_bias_table
    with torch.no_grad():
        distance = torch.linspace(-1, 1, 13).square()
        table.copy_((distance[:, None] + distance).reshape(-1, 1).expand_as(table))
    small, _ = fitted(model, 32)
    resized = small.layers[0].blocks[0].attn.relative_position_bias_table
    side = round(len(resized) ** 0.5)
    torch.testing.assert_close(resized.reshape(side, side, -1), resized.reshape(side, side, -1).flip(0, 1))


# --- through adapt


ADAPTED = {
    "torchvision vit": lambda: torchvision_vit(112, 16),
    "timm vit": lambda: timm_vit(img_size=112, patch_size=16),
    "timm swin": lambda: swin(56, window_size=7),
    "torchvision maxvit": lambda: maxvit(224, 7),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_adapted_transformers_learn_and_change_only_what_the_plan_names(name: str) -> None:
    model = ADAPTED[name]()
    planned = plan(model, 32, num_classes=3, output_stride=8 if "maxvit" not in name else 4)
    small = planned.apply(model)
    named = [f"{change.path}." for change in (*planned.changes, *planned.fitted)]
    for path, value in model.named_parameters():
        resized = small.get_parameter(path).shape != value.shape
        assert resized or torch.equal(small.get_parameter(path), value) or path.startswith(tuple(named))
    small.train()(torch.rand(2, 3, 32, 32)).sum().backward()
    again = planned.apply(model)
    again.load_state_dict(small.state_dict())


def test_the_convention_is_part_of_the_plan() -> None:
    model = timm_vit()
    planned = plan(model, 32, stem="keep", positions="dinov2")
    assert planned.to_dict()["positions"] == "dinov2"
    assert "the model: grid 7x7 -> 4x4 (dinov2)" in str(planned)
    expected = resize_positions(model.pos_embed, 7, 4, convention="dinov2", num_prefix_tokens=1)
    assert torch.equal(rn.adapt(model, 32, stem="keep", positions="dinov2").pos_embed, expected)
    with pytest.raises(rn.UnknownNameError, match="positions: expected one of 'timm', 'torchvision', 'dinov2'"):
        rn.adapt(model, 32, positions="swin")


def test_a_model_is_traced_at_the_size_that_it_has_recorded() -> None:
    model = timm_vit(img_size=518, patch_size=14, dynamic_img_size=False)
    assert plan(model, 56, output_stride=7).fitted[0].after == "8x8"
