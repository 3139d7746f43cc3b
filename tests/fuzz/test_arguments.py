"""Nonsense arguments for every public function, class and method: each call works or raises a ResizenetError.

The calls come from the API snapshot. Each has a set of valid arguments, of which up to three are replaced by nonsense.
A new public call needs an entry in VALID for each argument that is new and has no default.
What a call returns is used once, so that a constructor cannot accept nonsense that fails later. Python's own TypeError
for a call that does not match the signature is allowed, because it is raised before the function runs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision import tv_tensors

import resizenet as rn
from fuzzing import count_case, share
from resizenet import models, surgery, transforms

SNAPSHOT = Path(__file__).parents[1] / "project" / "api_snapshot.txt"
ROOMS = ("functional", "geometry", "models", "resizers", "surgery", "transforms")
NOT_BY_USERS = (  # records, exceptions and parts of networks that the library makes and calls, and torchvision's hooks
    "geometry.Comparison(",
    "geometry.GeometryReport",
    "geometry.Row(",
    "surgery.Adaptation(",
    "surgery.Change(",
    "resizers.FusedResizer(",
    "models.ResidualBlock",
    ".branch(",
    "Shortcut.forward(",
    "Block.forward(",
    "Bottleneck.forward(",
    "Stem.forward(",
    ".make_strided_conv(",
    "BlurPool.forward(",
    ".forward_head(",
    ".make_params(",
    ".transform(",
    "Error(",
)
OPERATORS = (
    "resizenet.transforms.ResolutionSchedule.__call__",
    "resizenet.transforms.MultiResolutionDataset.__getitem__",
)
ONE_OF_THE_PUBLISHED = "resizenet.models.resnet20"  # the others hand their arguments on in the same way


def public_calls() -> list[str]:
    """Paths of all that can be called with arguments, such as "resizenet.resizers.Resizer.wrap"; none twice."""
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line.startswith(tuple(f"resizenet.{room}." for room in ROOMS))]
    calls = [line.partition("(")[0] for line in lines if "(" in line and not any(part in line for part in NOT_BY_USERS)]
    published = {f"resizenet.models.{name}" for name in rn.list_models()} - {ONE_OF_THE_PUBLISHED}
    calls = [path for path in calls if path not in published and set(signature(path)) - {"self"}] + [*OPERATORS]
    inherited_first = sorted(calls, key=lambda path: path.endswith(find(path).__qualname__))
    return sorted({find(path).__qualname__: path for path in inherited_first}.values())


def find(path: str) -> Any:
    """The object at a path of a package, such as "resizenet.models.ResNet.forward"."""
    _, room, *names = path.split(".")
    return functools.reduce(getattr, names, importlib.import_module(f"resizenet.{room}"))


def signature(path: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(find(path)).parameters


def network(stem: str = "cifar") -> nn.Module:
    return models.ResNet(models.BasicBlock, (1, 1), (4, 8), stem=stem, num_classes=3)


def image() -> torch.Tensor:
    return torch.rand(2, 3, 8, 12)


def schedule() -> transforms.ResolutionSchedule:
    return transforms.ResolutionSchedule.linear(8, 16)


def sampler() -> transforms.MultiResolutionBatchSampler:
    return transforms.MultiResolutionBatchSampler(range(5), 2, schedule(), epochs=2)


VALID: dict[str, Callable[[], Any]] = {  # by the name of the parameter
    "batch": image,
    "batch_size": lambda: 2,
    "batches": lambda: [image()],
    "base": lambda: transforms.UpscalePolicy(8),
    "block": lambda: models.BasicBlock,
    "boxes": lambda: torch.tensor([[0, 0, 4, 6], [1, 2, 5, 6]]),
    "channels": lambda: 4,
    "cycles": lambda: 2,
    "dataset": lambda: [image()[0] for _ in range(5)],
    "depths": lambda: (1, 1),
    "embeddings": lambda: torch.rand(1, 12, 5),
    "end": lambda: 16,
    "epoch": lambda: 1,
    "epochs": lambda: 2,
    "features": lambda: torch.rand(2, 8, 4, 6),
    "height": lambda: 8,
    "high": lambda: 16,
    "images": image,
    "in_channels": lambda: 3,
    "index": lambda: (0, (7, 9)),
    "in_size": lambda: 7,
    "input_size": lambda: 16,
    "kernel_size": lambda: 3,
    "low": lambda: 8,
    "lr": lambda: 0.1,
    "mean": lambda: (0.5, 0.5, 0.5),
    "model": network,
    "multiple": lambda: 4,
    "name": lambda: "resnet20",
    "new_grid": lambda: (2, 5),
    "num_batches": lambda: 1,
    "num_classes": lambda: 4,
    "old_grid": lambda: (3, 4),
    "options": models.BlockOptions,
    "out_channels": lambda: 8,
    "out_size": lambda: 5,
    "progress": lambda: 0.5,
    "resize_size": lambda: 9,
    "resizer": lambda: rn.FixedResizer(8),
    "rule": lambda: "linear",
    "sample": lambda: tv_tensors.BoundingBoxes([[1.0, 1, 3, 4]], format="XYXY", canvas_size=(6, 6)),
    "samples": lambda: 2,
    "schedule": schedule,
    "serve": lambda: "opencv area 5",
    "size": lambda: 6,
    "sizes": lambda: [8, 16],
    "source": lambda: network().state_dict(),
    "source_size": lambda: (8, 12),
    "start": lambda: 8,
    "std": lambda: (0.25, 0.25, 0.25),
    "steps": lambda: 2,
    "stride": lambda: 1,
    "train": lambda: "pillow bilinear 5",
    "train_size": lambda: 16,
    "transform": lambda: transforms.UpscalePolicy(8),
    "weight": lambda: torch.rand(4, 3, 7, 7),
    "width": lambda: 12,
    "widths": lambda: (4, 8),
    "x": image,
}
SPECIAL: dict[str, dict[str, Callable[[], Any]]] = {  # where the name alone does not say what is valid
    "functional.resize_filter": {"kernel_size": lambda: 5},
    "models.AirNet": {"widths": lambda: (4, 4, 8)},
    "models.AirNet.forward_head": {"features": lambda: torch.rand(2, 256, 2, 2)},
    "models.BlurPool": {"stride": lambda: 2},
    "models.BlurPool.forward": {"x": lambda: torch.rand(2, 4, 8, 12)},
    "models.ResNet9.forward_head": {"features": lambda: torch.rand(2, 512, 2, 2)},
    "resizers.ResizedModel.load_resizer": {"source": lambda: rn.Resizer(8).state_dict()},
    "resizers.ResizedModel.forward": {"x": image},
    "resizers.ResizedModel": {"resizer": lambda: rn.Resizer(8)},
    "surgery.AnySize.forward": {"x": image},
    "surgery.Adaptation.apply": {"model": lambda: network("imagenet")},
    "surgery.adapt": {"model": lambda: network("imagenet")},
    "surgery.plan": {"model": lambda: network("imagenet")},
    "transforms.BatchRandomResizedCrop.draw": {"batch": lambda: 2},
    "transforms.GeometryRecord.inverse": {"sample": lambda: torch.zeros(3, 8, 12)},
    "transforms.GeometryRecord.unbatch": {"batch": lambda: torch.stack([transforms.GeometryRecord((8, 12))] * 2)},
    "transforms.NativePolicy": {"size": lambda: (8, 12)},
    "transforms.ResizePolicy.from_dict": {"values": lambda: transforms.LetterboxPolicy(6).to_dict()},
    "transforms.MultiResolutionBatchSampler.load_state_dict": {"state": lambda: sampler().state_dict()},
    "transforms.ResolutionSchedule": {"sizes": lambda: ((8, 8), (16, 16)), "values": lambda: (0.0, 1.0)},
    "transforms.ResolutionSchedule.load_state_dict": {"state": lambda: schedule().state_dict()},
    "transforms.ResolutionSchedule.mix": {"sizes": lambda: {8: 0.5, 16: 0.5}},
    "transforms.ResolutionSchedule.stages": {"sizes": lambda: {0: 8, 0.5: 16}},
}
EXTRA = {  # keyword arguments that are passed on
    "models": ("num_classes", "stochastic_depth", "shortcut", "in_channels"),
    "resizers": ("channels", "norm", "num_layers", "sigma", "negative_slope", "interpolation"),
}
PLAIN: list[Any] = [
    *(None, True, 0, -1, 1, 7, -(10**30), 2**63, 10**400, 0.5, -2.5, math.nan, math.inf, 1e308, 5e-324, 1j),
    *("", "x", "bilinear", b"x", (5e-324, 1e308), (1e308, 1e308), (5e-324, 5e-324), (2**31, 1)),
    *([], (3,), (3, 0), (2, 1.5), [0.2, 0.1], ("a", "b"), [None, None], range(3), {1, 2}),
    *({}, {"a": 1}, {0: "x", "y": 2}, object(), int, nn.Linear, nn.Identity(), nn.Conv2d(3, 3, 3), lambda *args: None),
]
ARRAYS: list[Any] = [
    *(np.zeros((2, 2)), np.float32("nan"), np.int64(3), torch.tensor([math.nan, 1.0]), torch.eye(3).to_sparse()),
    *(torch.zeros(shape) for shape in [(), (0,), (3, 4, 4), (2, 3, 0, 5), (0, 3, 4, 4), (1, 1, 1, 1)]),
    *(torch.zeros(2, 3, 4, 4, dtype=dtype) for dtype in (torch.int64, torch.complex64, torch.bool)),
    *(torch.float16, torch.device("cpu"), torch.Generator()),
]
WRITTEN = st.recursive(  # numbers, texts and containers of them; the integers are small, so that no call is large
    st.integers(-40, 40) | st.floats() | st.text(max_size=5) | st.sampled_from(PLAIN),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def valid_arguments(path: str) -> dict[str, Any]:
    """Every parameter without a default, by name, with a valid value."""
    special = SPECIAL.get(path.removeprefix("resizenet."), {})
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = signature(path).values()
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]
    names = [name for name in (*required, *special) if name != "self"]
    return {name: special.get(name, VALID.get(name, lambda: None))() for name in names}


def bound(path: str) -> Callable[..., Any]:
    """The call at a path; a method is bound to an instance that was made with valid arguments."""
    if "self" not in signature(path):
        return find(path)
    owner, _, name = path.rpartition(".")
    return getattr(instance(owner), name)


def instance(path: str) -> Any:
    if path.endswith("FusedResizer"):
        return rn.Resizer(6).fuse()
    if path.endswith("ResizePolicy"):
        return transforms.UpscalePolicy(6)
    if path.endswith("Adaptation"):
        return adaptation()
    return find(path)(**valid_arguments(path))


@functools.cache
def adaptation() -> surgery.Adaptation:
    return surgery.plan(network("imagenet"), 16)


def use(value: Any) -> None:
    """Use what a call returned, as its user would next."""
    repr(value)
    if isinstance(value, transforms.ResizePolicy):
        value.describe()
        value.to_dict()
        value.apparent_size_ratio()
        for transform in (value.train(), value.eval()):
            transform(tv_tensors.Image(torch.zeros(3, 8, 12)))
    elif isinstance(value, transforms.ResolutionSchedule):
        value(0.5)
        value.state_dict()
    elif isinstance(value, transforms.MultiResolutionBatchSampler):
        list(value)
        value.state_dict()
    elif isinstance(value, nn.Module) and type(value).__module__.startswith(("resizenet.resizers", "resizenet.transf")):
        value.eval()(image())


def python_refuses(error: TypeError) -> bool:
    """Whether the arguments do not fit the signature, or that of the function that gets the keyword arguments."""
    return error.__traceback__.tb_next is None or "() got an unexpected keyword argument" in str(error)


def check_call(path: str, changes: dict[str, Any]) -> None:
    """Call with valid arguments but for the changes; raises what is neither a ResizenetError nor Python's refusal."""
    call, arguments = bound(path), {**valid_arguments(path), **changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call(**arguments)
        except (rn.ResizenetError, FileNotFoundError):
            return
        except IndexError:  # of the user's dataset
            if path.endswith("__getitem__"):
                return
            raise
        except TypeError as error:
            if python_refuses(error):
                return
            raise
        with contextlib.suppress(rn.ResizenetError):
            use(result)


def nonsense(path: str) -> dict[str, st.SearchStrategy[Any]]:
    """What each argument can be replaced by.

    Flags may be anything that has a truth value. Functions and layers that a user passes in are left alone, because
    their errors are the user's. Behind ``**kwargs`` are keyword arguments of other functions and one of none.
    """
    plain, any_value = st.sampled_from(PLAIN) | WRITTEN, st.sampled_from(PLAIN + ARRAYS) | WRITTEN
    no_number = st.sampled_from([value for value in PLAIN + ARRAYS if type(value) not in (int, np.int64)])
    found = {}
    for name, parameter in signature(path).items():
        by_user = name == "block" or any(word in str(parameter.annotation) for word in ("MakeNorm", "MakeAct"))
        if parameter.kind is parameter.VAR_KEYWORD:
            found |= dict.fromkeys(("no_such_argument", *EXTRA.get(path.split(".")[1], ())), any_value)
        elif "torch.device" in str(parameter.annotation):  # a number is a GPU, which may be missing
            found[name] = no_number
        elif name not in {"self", "args"} and not by_user:
            found[name] = plain if isinstance(parameter.default, bool) else any_value
    return found


CALLS = public_calls()


@pytest.mark.parametrize("path", CALLS)
def test_the_valid_arguments_are_valid(path: str) -> None:
    use(bound(path)(**valid_arguments(path)))


@pytest.mark.parametrize("path", CALLS)
@share(0.65 / len(CALLS))
@given(data=st.data())
def test_nonsense_arguments_work_or_raise_a_resizenet_error(path: str, data: st.DataObject) -> None:
    values = nonsense(path)
    changed = data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=3, unique=True))
    changes = {name: data.draw(values[name]) for name in changed}
    count_case()
    check_call(path, changes)
