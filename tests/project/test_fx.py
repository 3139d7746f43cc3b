"""``torch.fx.symbolic_trace`` and torchvision's ``create_feature_extractor`` on networks and resizers."""

import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace
from torchvision.models.feature_extraction import create_feature_extractor

import resizenet as rn
from resizenet import FixedResizer, LaplacianResizer, LinearResizer, Resizer
from resizenet.functional import resize
from resizenet.models import BasicBlock, FeatureExtractor, ResNet

SIZE = (31, 37)
IMAGES = [(1, 3, 20, 90), (2, 3, 62, 74), (3, 3, 91, 64)]  # the second is the fused LinearResizer's exact factor


def small(**options: object) -> ResNet:
    return ResNet(BasicBlock, (1, 1), (4, 8), num_classes=5, **options)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "fixed": lambda: FixedResizer(SIZE),
    "linear": lambda: LinearResizer(SIZE),
    "fused linear": lambda: LinearResizer(SIZE).fuse(),
    "laplacian": lambda: LaplacianResizer.paper(SIZE),
    "learned": lambda: Resizer(SIZE, zero_init=False),
    "checkpointed": lambda: Resizer(SIZE, zero_init=False, checkpoint=True),
    "group norm": lambda: Resizer(SIZE, zero_init=False, norm="group"),
    "fused": lambda: Resizer(SIZE, zero_init=False).fuse(),
    "fused group norm": lambda: Resizer(SIZE, zero_init=False, norm="group").fuse(),
    "wrapped": lambda: Resizer(SIZE, zero_init=False).wrap(small()),
    **{
        f"stem {stem}": lambda stem=stem: small(stem=stem)
        for stem in ("cifar", "imagenet", "no_pool", "space_to_depth")
    },
    **{f"shortcut {kind}": lambda kind=kind: small(shortcut=kind) for kind in ("pad", "pad_after")},
    **{f"{way} downsampling": lambda way=way: small(downsample=way) for way in ("average", "blur")},
    "bottlenecks": lambda: rn.create_model("resnext29_32x4d"),
    **{
        name: lambda name=name: rn.create_model(name)
        for name in ("airnet", "resnet9", "preact_resnet20", "se_resnet20")
    },
}


def module(name: str) -> nn.Module:
    return MODULES[name]().eval()


@pytest.mark.parametrize("name", MODULES)
def test_a_traced_graph_computes_what_the_module_does(name: str) -> None:
    original = module(name)
    traced = symbolic_trace(original)
    for shape in IMAGES:
        x = torch.rand(shape)
        with torch.no_grad():
            torch.testing.assert_close(traced(x), original(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_training_is_traced_too(training: bool) -> None:
    original = Resizer(SIZE, zero_init=False).wrap(small()).train(training)
    traced = symbolic_trace(original)
    x = torch.rand(4, 3, 50, 60)
    torch.testing.assert_close(traced(x), original(x), rtol=0, atol=1e-5)


def test_torchvision_extracts_the_maps_of_a_network_and_of_a_wrapped_one() -> None:
    network, x = small().eval(), torch.rand(2, 3, 62, 74)
    found = create_feature_extractor(network, ["stem", "stages.1"])(x)
    torch.testing.assert_close(found["stages.1"], network.forward_features(x))
    wrapped = FixedResizer(SIZE).wrap(network)
    found = create_feature_extractor(wrapped, {"resizer": "images", "model.stages.1": "map"})(x)
    torch.testing.assert_close(found["images"], resize(x, SIZE))
    torch.testing.assert_close(found["map"], network.forward_features(resize(x, SIZE)))


def test_our_own_extractor_is_traced() -> None:
    original = FeatureExtractor(small(), indices=(1, 2)).eval()
    x = torch.rand(1, 3, 31, 37)
    torch.testing.assert_close(symbolic_trace(original)(x), original(x))


def test_resize_is_one_node_of_a_users_graph() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * resize(x, SIZE)

    traced = symbolic_trace(Model())
    assert [node.op for node in traced.graph.nodes] == ["placeholder", "call_function", "call_function", "output"]
    x = torch.rand(1, 3, 45, 51)
    torch.testing.assert_close(traced(x), 2 * resize(x, SIZE))
    torch.testing.assert_close(pickle.loads(pickle.dumps(traced))(x), 2 * resize(x, SIZE))


def test_a_traced_resizer_has_its_own_size() -> None:
    traced = symbolic_trace(FixedResizer(SIZE))
    with pytest.raises(rn.ArgumentError, match=r"size: expected None, because a graph of .* has a fixed size"):
        traced(torch.rand(1, 3, 45, 51), 20)


def test_a_graph_still_checks_its_images_where_it_resizes() -> None:
    with pytest.raises(rn.ShapeError, match=r"resize: expected \(B, C, H, W\)"):
        symbolic_trace(FixedResizer(SIZE))(torch.rand(3, 45, 51))
