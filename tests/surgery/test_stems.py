"""Test the new stem of ``adapt``: its response, what it keeps, the mistakes of a swap by hand, and refusals."""

import copy
from collections.abc import Callable

import pytest
import torch
import torchvision
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import resizenet as rn

EXACT = {"rtol": 0, "atol": 1e-10}


def resnet(**convolution: object) -> nn.Module:
    """A small torchvision ResNet, its first convolution as given."""
    model = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)
    if convolution:
        model.conv1 = nn.Conv2d(3, 64, **{"kernel_size": 7, "stride": 2, "padding": 3, **convolution})
    return model


def upscaled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """(30, 3, 32, 32), with the mean and standard deviation that ImageNet networks expect."""
    images = torch.stack([torch.from_numpy(image[:420, :630].copy()) for image in load_sample_images().images])
    small = F.avg_pool2d(images.double().permute(0, 3, 1, 2) / 255, 4)
    crops = small.unfold(2, 32, 32).unfold(3, 32, 31).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 32, 32)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return (crops - mean) / std


# --- fold


def test_a_folded_stem_is_5x5_with_stride_1_and_keeps_the_pool() -> None:
    adapted = rn.adapt(resnet(), 32, stem="fold")
    assert (adapted.conv1.kernel_size, adapted.conv1.stride, adapted.conv1.padding) == ((5, 5), (1, 1), (2, 2))
    assert isinstance(adapted.maxpool, nn.MaxPool2d)
    assert adapted.maxpool.stride == 2


def test_with_replicate_padding_a_folded_network_equals_the_old_one_on_upscaled_images() -> None:
    model, image = resnet(padding_mode="replicate").double().eval(), torch.rand(3, 3, 32, 48, dtype=torch.float64)
    torch.testing.assert_close(rn.adapt(model, 32, stem="fold")(image), model(upscaled(image)), **EXACT)


def test_with_zero_padding_the_error_is_the_documented_share(photographs: Tensor) -> None:
    """A few percent of the map's norm; replicate padding instead would have more than twice the error."""
    model = resnet().double()
    adapted, large = rn.adapt(model, 32, stem="fold"), model.conv1(upscaled(photographs))
    error = (adapted.conv1(photographs) - large).norm() / large.norm()
    replicated = F.conv2d(F.pad(photographs, [2] * 4, mode="replicate"), adapted.conv1.weight)
    assert 0.03 < error < 0.1 < 2 * error < (replicated - large).norm() / large.norm()


def test_folding_halves_a_stride_of_4() -> None:
    model, image = resnet(stride=4).double(), torch.rand(2, 3, 32, 48, dtype=torch.float64)
    adapted = rn.adapt(model, 32, stem="fold")
    assert adapted.conv1.stride == (2, 2)
    small, large = adapted.conv1(image), model.conv1(upscaled(image))
    torch.testing.assert_close(small[..., 1:-1, 1:-1], large[..., 1:-1, 1:-1], **EXACT)


def test_our_folded_network_knows_its_stem() -> None:
    model = rn.models.ResNet(rn.models.BasicBlock, (1, 1, 1), (4, 8, 16), stem="imagenet")
    adapted = rn.adapt(model, 32, stem="fold")
    assert (adapted.stem.stride, adapted.stem.receptive_field, adapted.feature_strides) == (2, 7, (2, 2, 4, 8))
    shapes = [
        adapted.forward_features(torch.rand(2, 3, 32, 48)).shape,
        model.forward_features(torch.rand(2, 3, 64, 96)).shape,
    ]
    assert shapes[0] == shapes[1]


# --- weights of the small stem


@pytest.mark.parametrize("method", ["area", "pinv"])
def test_small_stems_keep_the_response_to_a_constant_image(method: str) -> None:
    model = resnet().double()
    adapted = rn.adapt(model, 32, stem_weights=method)
    assert adapted.conv1.weight.shape == (64, 3, 3, 3)
    constant = torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64).reshape(1, 3, 1, 1).expand(-1, -1, 32, 32)
    torch.testing.assert_close(adapted.conv1(constant)[..., 16, 16], model.conv1(constant)[..., 8, 8], **EXACT)


def test_the_choices_of_stem_weights_differ() -> None:
    model = resnet()
    weights = [rn.adapt(model, 32, stem_weights=method).conv1.weight for method in ("center", "area", "pinv", "fresh")]
    assert not any(torch.allclose(a, b, rtol=0.01) for i, a in enumerate(weights) for b in weights[:i])


# --- what is kept of the convolution


@pytest.mark.parametrize("stem", ["cifar", "fold"])
def test_bias_dtype_memory_format_mode_and_requires_grad_are_kept(stem: str) -> None:
    model = resnet(bias=True).to(torch.bfloat16, memory_format=torch.channels_last).eval()
    model.conv1.weight.requires_grad_(False)
    adapted = rn.adapt(model, 32, stem=stem)
    assert torch.equal(adapted.conv1.bias, model.conv1.bias)
    assert adapted.conv1.bias.requires_grad
    assert not adapted.conv1.weight.requires_grad
    assert adapted.conv1.weight.dtype == torch.bfloat16
    assert adapted.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert not adapted.conv1.training


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("stem", ["cifar", "fold"])
def test_the_padding_mode_is_kept_and_fits_the_new_kernel(stem: str, padding_mode: str) -> None:
    adapted = rn.adapt(resnet(padding_mode=padding_mode), 32, stem=stem)
    assert adapted.conv1.padding_mode == padding_mode
    assert adapted.conv1(torch.rand(1, 3, 32, 40)).shape[-2:] == (32, 40)


def test_new_channels_keep_the_padding() -> None:
    adapted = rn.adapt(resnet(padding=2), 224, in_channels=5)
    assert adapted.conv1.padding == (2, 2)
    assert adapted.conv1(torch.rand(1, 5, 32, 32)).shape[-2:] == (15, 15)


@pytest.mark.parametrize("stem", ["cifar", "fold", "no_pool"])
def test_grouped_stems_keep_their_groups(stem: str) -> None:
    model = resnet()
    model.conv1 = nn.Conv2d(4, 64, 7, stride=2, padding=3, groups=4)
    adapted = rn.adapt(model, 32, stem=stem)
    assert (adapted.conv1.in_channels, adapted.conv1.groups) == (4, 4)
    assert adapted(torch.rand(2, 4, 32, 32)).shape == (2, 5)


# --- stems swapped by hand


def shrunk(weight: Tensor) -> Tensor:
    """(O, I, 7, 7) -> (O, I, 3, 3): the sum over the area that each new pixel covers, on a grid of 21x21 parts."""
    parts = weight.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3) / 9
    return 49 * F.avg_pool2d(parts, 7)


def faults(model: nn.Module, original: nn.Module) -> set[str]:
    """Return what is wrong with a small stem that was made from the stem of ``original``."""
    found = set()
    if model.conv1(torch.zeros(1, 3, 32, 32)).shape[-2:] != (32, 32):
        found.add("padding")
    limit = (3 * 9) ** -0.5  # torch's default initialisation is uniform between -limit and limit
    weight, kept = model.conv1.weight.detach(), shrunk(original.conv1.weight.detach())
    if weight.abs().max() <= limit and abs(weight.std() * 3**0.5 / limit - 1) < 0.1:
        found.add("default init")
    layers = zip(model.layer1.parameters(), original.layer1.parameters(), strict=True)
    if not torch.allclose(weight, kept, atol=1e-6) or any(not torch.equal(a, b) for a, b in layers):
        found.add("lost weights")
    return found


def padded_by_2(model: nn.Module) -> nn.Module:
    kept = shrunk(model.conv1.weight.detach())
    model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=2, bias=False)
    model.conv1.weight.data = kept
    return model


def left_on_the_default(model: nn.Module) -> nn.Module:
    model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    return model


def built_anew(model: nn.Module) -> nn.Module:
    return rn.adapt(resnet(), 32)


@pytest.mark.parametrize(
    ("swap", "expected"),
    [
        (padded_by_2, {"padding"}),
        (left_on_the_default, {"default init", "lost weights"}),
        (built_anew, {"lost weights"}),
        (lambda model: rn.adapt(model, 32), set()),
        (lambda model: rn.adapt(model, 32, inplace=True), set()),
        (lambda model: rn.adapt(model, 32, stem_weights="fresh"), {"lost weights"}),  # as requested
    ],
)
def test_adapt_avoids_the_mistakes_of_a_swap_by_hand(
    swap: Callable[[nn.Module], nn.Module], expected: set[str]
) -> None:
    original = resnet()
    assert faults(swap(copy.deepcopy(original)), original) == expected


# --- refusals


CIFAR, FOLD = (
    'stem="cifar" needs an odd, square, undilated kernel',
    'stem="fold" needs patches, or .* padding k // 2 and an even stride',
)
REFUSED = {  # the convolution, the stem, the start of the message and what it says of the convolution
    "even kernel": ({"kernel_size": 6, "padding": 2}, "cifar", CIFAR, r"kernel_size=\(6, 6\)"),
    "oblong kernel": ({"kernel_size": (7, 5), "padding": (3, 2)}, "cifar", CIFAR, r"kernel_size=\(7, 5\)"),
    "dilated kernel": ({"dilation": 2}, "cifar", CIFAR, r"dilation=\(2, 2\)"),
    "auto": ({"kernel_size": 4, "padding": 1}, "auto", CIFAR, r"kernel_size=\(4, 4\)"),
    "fold without stride": ({"stride": 1}, "fold", FOLD, r"stride=\(1, 1\)"),
    "fold with odd stride": ({"stride": 3}, "fold", FOLD, r"stride=\(3, 3\)"),
    "fold with oblong stride": ({"stride": (2, 4)}, "fold", FOLD, r"stride=\(2, 4\)"),
    "fold with other padding": ({"padding": 2}, "fold", FOLD, r"padding=\(2, 2\)"),
    "fold without padding": ({"padding": "valid"}, "fold", FOLD, r"padding=valid"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_stems_that_cannot_be_changed_are_refused_before_anything_changes(case: str) -> None:
    convolution, stem, requirement, found = REFUSED[case]
    model = resnet(**convolution)
    before = str(model)
    message = rf'adapt: {requirement}, and ResNet.conv1 is .*{found}.*; use stem="keep", or replace the layer by hand$'
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.adapt(model, 32, num_classes=7, inplace=True, stem=stem)
    assert str(model) == before


def test_a_stem_is_folded_only_once() -> None:
    message = rf"{FOLD}, and ResNet\.conv1 is Conv2d\(3, 64, kernel_size=\(5, 5\), stride=\(1, 1\)"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.adapt(rn.adapt(resnet(), 32, stem="fold"), 32, stem="fold")


def test_channels_of_grouped_stems_are_refused() -> None:
    model = resnet()
    model.conv1 = nn.Conv2d(4, 64, 7, stride=2, padding=3, groups=4)
    message = r"in_channels needs a convolution without groups, and ResNet\.conv1 is .*groups=4"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.adapt(model, 224, in_channels=8)
    assert rn.adapt(model, 224, in_channels=4).conv1.groups == 4


@pytest.mark.parametrize("options", [{"stem": "cifar"}, {"stem": "fold"}, {"stem": "keep", "in_channels": 1}])
def test_parametrized_filters_are_refused(options: dict[str, object]) -> None:
    model = resnet()
    parametrizations.weight_norm(model.conv1)
    with pytest.raises(rn.UnsupportedModelError, match=r"expected ResNet\.conv1\.weight to be a parameter"):
        rn.adapt(model, 32, **options)
    assert isinstance(rn.adapt(model, 32, stem="no_pool").maxpool, nn.Identity)


def test_parametrized_classifiers_are_refused() -> None:
    model = resnet()
    parametrizations.weight_norm(model.fc)
    message = r"expected ResNet\.fc\.weight to be a parameter, but it is computed from other tensors; make it one with"
    with pytest.raises(rn.UnsupportedModelError, match=message):
        rn.adapt(model, 32, num_classes=7)
