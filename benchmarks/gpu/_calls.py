"""One call of every kernel with its inputs, the same in plain PyTorch, and the work that it takes at least."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from resizenet import Resizer
from resizenet.functional import crop_resize, resize
from resizenet.kernels import head_and_moments, launch_crop_resize

Results = tuple[Tensor, ...]


@dataclass(frozen=True)
class Place:
    """Where kernels run: on a GPU, in Triton's interpreter, or nowhere, with fake tensors of the CPU."""

    device: torch.device
    launches: bool
    small: bool

    def tensors(self) -> Any:
        """Return a context in which tensors have values only if kernels are launched."""
        return nullcontext() if self.launches else FakeTensorMode(allow_non_fake_inputs=True)


@dataclass(frozen=True)
class Setting:
    """A batch of images that are halved: ``size`` is that of the results."""

    batch: int
    size: tuple[int, int]
    dtype: torch.dtype
    layout: torch.memory_format = torch.contiguous_format

    def __str__(self) -> str:
        layout = "contiguous" if self.layout == torch.contiguous_format else "channels_last"
        height, width = self.size
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.batch} x {2 * height}x{2 * width} -> {height}x{width}, {dtype}, {layout}"

    def images(self, device: torch.device) -> Tensor:
        """(B, 3, 2 h, 2 w), uniform in 0..1."""
        x = torch.rand(self.batch, 3, 2 * self.size[0], 2 * self.size[1], device=device).to(self.dtype)
        return x.contiguous(memory_format=self.layout)


@dataclass(frozen=True)
class Call:
    """A kernel and its inputs.

    Attributes:
        kernel: "crop_resize", "head", "conv", "tail", "moments" or "backward"; "inference" is the sum of several.
        name: the kernel and which of its calls this is.
        run: launches the kernel alone.
        results: what is compared with ``plain``; that of ``run`` except for "backward", which is checked by the
            gradients of the parameters.
        plain: the results in plain PyTorch, computed in a dtype.
        flops: of convolutions in the plain form, two per multiply-accumulate.
        least_bytes: inputs read once and results written once.
    """

    kernel: str
    name: str
    run: Callable[[], Any]
    results: Callable[[], Results]
    plain: Callable[[torch.dtype], Results]
    flops: int
    least_bytes: int


def calls(setting: Setting, place: Place) -> Iterator[Call]:
    """Yield one call of every kernel, those of inference in the order in which they follow each other."""
    yield _crop_resize(setting, place.device)
    yield from inference(setting, place.device)
    yield from training(setting, place.device)


class _Recorder(TorchDispatchMode):
    """Keeps the calls of the library's operators."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Callable[[], Any], tuple[Any, ...], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.namespace == "resizenet":
            self.found.append((partial(func, *args), args, result))
        return result


def _crop_resize(setting: Setting, device: torch.device) -> Call:
    """Random boxes of uint8 images to normalized images in the setting's dtype."""
    x = (255 * setting.images(device)).to(torch.uint8)
    with unset_fake_temporarily():
        boxes, flip = _boxes(setting).to(device), (torch.rand(setting.batch) < 0.5).to(device)
        pixels = int(boxes[:, 2:].prod(1).sum())
    scale, shift = torch.full((3,), 4 / 255, device=device), torch.full((3,), -2.0, device=device)

    def run() -> Tensor:
        options = {"flip": flip, "scale": scale, "shift": shift, "antialias": True, "dtype": setting.dtype}
        return launch_crop_resize(x, boxes, setting.size, **options)

    def plain(dtype: torch.dtype) -> Results:
        resized = crop_resize(x.to(dtype), boxes, setting.size, flip=flip, kernels="never")
        return (resized * scale[0].to(dtype) + shift[0].to(dtype),)

    written = 3 * setting.batch * setting.size[0] * setting.size[1] * setting.dtype.itemsize
    return Call("crop_resize", "crop_resize", run, lambda: (run(),), plain, 0, 3 * pixels + written)


def _boxes(setting: Setting) -> Tensor:
    """(B, 4), with sides from 0.4 to 1 of the image's."""
    shape = 2 * torch.tensor(setting.size)
    sides = ((0.4 + 0.6 * torch.rand(setting.batch, 2)) * shape).long()
    corners = (torch.rand(setting.batch, 2) * (shape - sides + 1)).long()
    return torch.cat([corners, sides], 1)


def _resizer(setting: Setting, device: torch.device) -> Resizer:
    """Random weights, biases and statistics, so that no part of the network is an identity."""
    with unset_fake_temporarily():
        resizer = Resizer(setting.size)
        for name, tensor in (*resizer.named_parameters(), *resizer.named_buffers()):
            if name.endswith("running_var"):
                nn.init.uniform_(tensor, 0.5, 2)
            elif tensor.is_floating_point():
                nn.init.normal_(tensor, 0, 0.1)
        return resizer.to(device, setting.dtype)


def _cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a copy with values, which Module.to needs also where the inputs are fake."""
    with unset_fake_temporarily():
        return copy.deepcopy(module).to(dtype)


@torch.no_grad()
def inference(setting: Setting, device: torch.device) -> Iterator[Call]:
    """Yield the kernels of a resizer in evaluation, and all of them as one call."""
    x = setting.images(device)
    resizer = _resizer(setting, device).eval()
    with unset_fake_temporarily():
        fused, never = (resizer.fuse(kernels=kernels) for kernels in ("always", "never"))
    with _Recorder() as recorder:
        out = fused.half_resizer(x)
    convolutions = [layer for block in fused.blocks for layer in block.children() if isinstance(layer, nn.Conv2d)]
    convolutions += [fused.merge[0], resizer.tail]
    plain = [partial(_plain_head, never), *(partial(_plain_conv, layer) for layer in convolutions)]
    for index, ((run, args, result), layers) in enumerate(zip(recorder.found, plain, strict=True)):
        kernel = "head" if index == 0 else "tail" if index == len(plain) - 1 else "conv"
        yield _call(kernel, f"{kernel} {index}" if kernel == "conv" else kernel, run, args, result, layers)
    everything = [x, out, *resizer.parameters()]
    whole = partial(fused.half_resizer, x)

    @torch.no_grad()
    def plain_whole(dtype: torch.dtype) -> Results:
        return (_cast(never, dtype)(x.to(dtype)),)

    flops = _flops(lambda: resizer(x))
    yield Call("inference", "inference", whole, lambda: (whole(),), plain_whole, flops, _bytes(everything))


def _call(kernel: str, name: str, run: Any, args: tuple[Any, ...], result: Any, layers: Any) -> Call:
    def results() -> Results:
        with torch.no_grad():
            found = run()
        return found if isinstance(found, tuple) else (found,)

    @torch.no_grad()
    def plain(dtype: torch.dtype) -> Results:
        cast = [arg.to(dtype) if isinstance(arg, Tensor) and arg.is_floating_point() else arg for arg in args]
        return layers(dtype, *cast)

    tensors = [*args, *(result if isinstance(result, tuple) else (result,))]
    dtype = args[0].dtype
    return Call(kernel, name, run, results, plain, _flops(lambda: plain(dtype)), _bytes(tensors))


def _plain_head(fused: nn.Module, dtype: torch.dtype, image: Tensor, *_: Any) -> Results:
    fused = _cast(fused, dtype)
    z = fused.head(image)
    features = fused.norm(F.avg_pool2d(z, 2), z)
    half = (image.shape[2] // 2, image.shape[3] // 2)
    skip = fused.skip(resize(image, half, interpolation="bilinear", antialias=fused.antialias))
    return rearrange(features, "b c h w -> b h w c"), rearrange(skip, "b c h w -> b h w c")


def _plain_conv(
    layer: nn.Conv2d, dtype: torch.dtype, features: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None,
    slope: float, out_channels: int, planar: bool,
) -> Results:  # fmt: skip
    layer = _cast(layer, dtype)
    out = F.leaky_relu(layer(rearrange(features, "b h w c -> b c h w")), slope)
    out = rearrange(out, "b c h w -> b h w c")
    out = out if residual is None else out + residual
    return (rearrange(out, "b h w c -> b c h w") if planar else out,)


def training(setting: Setting, device: torch.device) -> Iterator[Call]:
    """Yield the passes of the head in training. LeakyReLU's inputs are far from 0, where rounding decides its slope."""
    x, head = setting.images(device), _resizer(setting, device).head
    with torch.no_grad(), unset_fake_temporarily():
        signs = torch.tensor([1.0, -1.0], device=device).repeat(8)
        head[0].bias.copy_(8 * signs)
        head[2].bias.copy_(32 * signs)
    weights = (
        torch.randn(setting.batch, *setting.size, 16, device=device).to(setting.dtype),
        *torch.randn(2, 16, device=device),
    )
    weights = (rearrange(weights[0], "b h w c -> b c h w"), *weights[1:])
    with _Recorder() as recorder:
        _gradients(head_and_moments, x, head, weights)
    forward, backward = recorder.found

    def plain(dtype: torch.dtype) -> Results:
        return _gradients(_plain_moments, x.to(dtype), _cast(head, dtype), weights)

    def plain_forward(dtype: torch.dtype, image: Tensor, *_: Any) -> Results:
        resized, variance, mean = _plain_moments(image, _cast(head, dtype))
        return rearrange(resized, "b c h w -> b h w c"), variance, mean

    first = _call("moments", "moments", *forward, plain_forward)
    yield first
    run, args, result = backward
    flops = _flops(lambda: plain(setting.dtype)) - first.flops
    gradients = partial(_gradients, head_and_moments, x, head, weights)
    yield Call("backward", "backward", run, gradients, plain, flops, _bytes([*args, *result]))


def _plain_moments(x: Tensor, head: nn.Module) -> Results:
    z = head(x)
    variance, mean = torch.var_mean(z.to(torch.promote_types(z.dtype, torch.float32)), (0, 2, 3), correction=0)
    return F.avg_pool2d(z, 2), variance, mean


def _gradients(compute: Any, x: Tensor, head: nn.Module, weights: Results) -> Results:
    results = compute(x, head)
    loss = [weight.to(result.dtype) for weight, result in zip(weights, results, strict=True)]
    gradients = torch.autograd.grad(results, list(head.parameters()), loss)
    return tuple(result.detach() for result in (*results, *gradients))


def _flops(compute: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()


def _bytes(tensors: list[Any]) -> int:
    return sum(tensor.nbytes for tensor in {id(one): one for one in tensors if isinstance(one, Tensor)}.values())
