"""Fit position embeddings, windows and recorded image sizes of transformers to another input size."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models import MaxVit, VisionTransformer

from .._errors import UnsupportedModelError
from ..functional import resize_positions
from ..functional._positions import Convention
from ._changes import Change, side

Grid = tuple[int, int]


def fit_positions(model: nn.Module, input_size: Grid, convention: Convention) -> list[Change]:
    """Fit everything in a model that depends on the size of its images, in place, and return what changed.

    The strides of the model, such as that of its patch embedding, are already the new ones. What the model has recorded
    about its old size, such as its grid of patches, says what the embeddings were made for. Values need not be there.

    Embeddings are resized by ``functional.resize_positions``. A window that does not divide the new maps gets the
    largest size that does, and its table of relative positions is resized in the same way. timm's ``set_input_size``
    does what it can do; embeddings are resized here, because it ignores equal numbers of patches in some versions.

    Args:
        model: a model with other strides, or a copy without values.
        input_size: (height, width) of the images in pixels.
        convention: of ``functional.resize_positions``.

    Returns:
        Changes of "grid" (patches in the position embeddings) and "window", as text such as "14x14".

    Raises:
        UnsupportedModelError: no grid or window fits the input size.
    """
    with torch.no_grad():
        return [
            change
            for path, module in [*model.named_modules()]
            for belongs, fit in _FITS
            if belongs(module)
            for change in fit(module, path, input_size, convention)
        ]


def _changed(path: str, what: Any, before: Grid, after: Grid, how: str) -> Iterator[Change]:
    if before != after:
        yield Change(path, what, _text(before), _text(after), how)


def _text(size: Grid) -> str:
    return f"{size[0]}x{size[1]}"


def _renew(owner: Any, name: str, old: Tensor, before: Grid, after: Grid, convention: Convention, prefix: int) -> None:
    """Give the owner a parameter with the embeddings of another grid; ``old`` says whether it is trained."""
    if before != after:
        resized = resize_positions(old, before, after, convention=convention, num_prefix_tokens=prefix)
        setattr(owner, name, nn.Parameter(resized, requires_grad=old.requires_grad))


def _grid_of(patches: nn.Module, image: Grid) -> Grid:
    """Return the map that convolutions in a row make from an image."""
    grid = image
    for conv in (layer for layer in patches.modules() if isinstance(layer, nn.Conv2d)):
        padding = cast("tuple[int, int]", conv.padding)
        shapes = zip(grid, padding, conv.kernel_size, conv.stride, strict=True)
        height, width = ((length + 2 * p - k) // s + 1 for length, p, k, s in shapes)
        grid = height, width
    return grid


def _stride_of(patches: nn.Module) -> int:
    return math.prod(side(layer.stride) for layer in patches.modules() if isinstance(layer, nn.Conv2d))


# --- vision transformers


def _fit_torchvision_vit(model: Any, path: str, size: Grid, convention: Convention) -> Iterator[Change]:
    grid, stride = _grid_of(model.conv_proj, size), _stride_of(model.conv_proj)
    if size[0] != size[1] or (size[0] // stride, size[1] // stride) != grid or 0 in grid:
        raise UnsupportedModelError(
            f"adapt: torchvision's VisionTransformer takes square images of at least one patch, got {_text(size)} for "
            f"patches of {stride}; resize the images, or use timm's VisionTransformer"
        )
    old = (model.image_size // model.patch_size,) * 2
    model.image_size, model.patch_size, model.seq_length = size[0], stride, 1 + grid[0] * grid[1]
    encoder = model.encoder
    _renew(encoder, "pos_embedding", encoder.pos_embedding, old, grid, convention, 1)
    yield from _changed(f"{path}.encoder".lstrip("."), "grid", old, grid, convention)


def _fit_timm(model: Any, path: str, size: Grid, convention: Convention) -> Iterator[Change]:
    """Fit a timm model with patches: ViT, DeiT, EVA, BEiT, Swin, CaiT and others."""
    patches, old = model.patch_embed, model.patch_embed.grid_size
    patches.patch_size = tuple(patches.proj.stride)
    embeddings, windows = getattr(model, "pos_embed", None), _windows(model)
    with _without_warnings():
        (model if hasattr(model, "set_input_size") else patches).set_input_size(img_size=size)
    grid = patches.grid_size
    if 0 in grid:
        raise UnsupportedModelError(
            f"adapt: images of {_text(size)} have no whole patch of {_text(patches.patch_size)}"
        )
    count = old[0] * old[1]
    if isinstance(embeddings, Tensor) and embeddings.ndim == 3 and embeddings.shape[1] >= count:
        prefix = embeddings.shape[1] - count
        _renew(model, "pos_embed", embeddings, old, grid, convention, prefix)
        yield from _changed(path, "grid", old, grid, convention)
    yield from _changed_windows(path, windows, _windows(model))


def _windows(model: nn.Module) -> dict[str, Grid]:
    """Return the windows inside a model by the path of the outermost module that has recorded them."""
    found: dict[str, Grid] = {}
    for path, module in model.named_modules():
        window = getattr(module, "partition_size", getattr(module, "window_size", None))
        if path and isinstance(window, tuple) and not any(path.startswith(f"{outer}.") for outer in found):
            found[path] = window
    return found


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide the warnings of the interpolation of timm's tables, seen in timm 1.0.31, no upstream issue found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _changed_windows(path: str, before: dict[str, Grid], after: dict[str, Grid]) -> Iterator[Change]:
    for name, window in after.items():
        yield from _changed(f"{path}.{name}".lstrip("."), "window", before[name], window, "timm")


def _fit_transformers(module: Any, path: str, size: Grid, convention: Convention) -> Iterator[Change]:
    """Fit the embeddings of ViT, DeiT, DINOv2 and others of transformers."""
    patches, embeddings = module.patch_embeddings, module.position_embeddings
    height, width = (a // b for a, b in zip(_pair(patches.image_size), _pair(patches.patch_size), strict=True))
    old, grid = (height, width), _grid_of(patches.projection, size)
    _record_sizes(patches, size, patches.projection, num_patches=grid[0] * grid[1])
    _record_sizes(module, size, patches.projection)
    if grid[0] != grid[1] and "interpolate_pos_encoding" not in inspect.signature(module.forward).parameters:
        return  # DINOv2 resizes in each call, and expects to start from a square
    _renew(module, "position_embeddings", embeddings, old, grid, convention, embeddings.shape[1] - old[0] * old[1])
    yield from _changed(path, "grid", old, grid, convention)


def _fit_config(module: Any, path: str, size: Grid, convention: Convention) -> Iterator[Change]:
    """Record the sizes in the configuration around such embeddings."""
    patches = next(filter(_is_transformers, module.modules())).patch_embeddings
    _record_sizes(module.config, size, patches.projection)
    yield from ()


def _record_sizes(owner: Any, size: Grid, projection: nn.Conv2d, **others: int) -> None:
    """Set what the owner has recorded about images and patches, as one number where it had one number."""
    for name, value in {"image_size": size, "patch_size": projection.stride, **others}.items():
        if hasattr(owner, name):
            was_single = isinstance(getattr(owner, name), int)
            is_square = isinstance(value, tuple) and value[0] == value[1]
            setattr(owner, name, side(value) if was_single and is_square else value)


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


# --- MaxViT


def _block_stride(block: nn.Module) -> int:
    """Return the stride of a block, whose branches have it in a convolution or a pooling."""
    strides = [side(layer.stride) for layer in block.modules() if hasattr(layer, "stride")]
    return max((stride for stride in strides if isinstance(stride, int)), default=1)


def _maps(stem: nn.Module, stages: list[list[nn.Module]], size: Grid) -> list[Grid]:
    """Return the map of every stage of blocks; padding makes each stride round up."""
    maps, strides = [], [_stride_of(stem), *(math.prod(map(_block_stride, blocks)) for blocks in stages)]
    for stride in strides:
        size = -(-size[0] // stride), -(-size[1] // stride)
        maps.append(size)
    return maps[1:]


def _largest_divisor(lengths: list[int], at_most: int) -> int:
    common = math.gcd(*lengths)
    return max(length for length in range(1, min(common, at_most) + 1) if common % length == 0)


def _check_partition(name: str, maps: list[Grid], partition: Grid) -> None:
    if min(partition) == 1 and min(maps[-1]) > 1:
        sides = ", ".join(map(_text, maps))
        raise UnsupportedModelError(
            f"adapt: {name} divides its maps into equal windows, and maps of {sides} have no common one larger than "
            "one position; take images whose sides are multiples of the output stride, or another output_stride"
        )


def _fit_torchvision_maxvit(model: Any, path: str, size: Grid, convention: Convention) -> Iterator[Change]:
    maps = _maps(model.stem, [[layer.layers.MBconv for layer in block.layers] for block in model.blocks], size)
    old, new = (
        model.partition_size,
        _largest_divisor([length for grid in maps for length in grid], model.partition_size),
    )
    _check_partition("MaxVit", maps, (new, new))
    model.partition_size = new
    for block, grid in zip(model.blocks, maps, strict=True):
        block.grid_size = grid
        for layer in block.layers:
            for name in ("window_attention", "grid_attention"):
                _fit_partition(getattr(layer.layers, name), grid, old, new, convention)
    yield from _changed(path, "window", (old, old), (new, new), convention)


def _fit_partition(layer: Any, grid: Grid, old: int, new: int, convention: Convention) -> None:
    """Fit a layer of torchvision's MaxVit to its map and window."""
    if layer.partition_type == "grid" and grid[0] != grid[1]:
        raise UnsupportedModelError(f"adapt: torchvision's MaxVit takes square images only, and a map is {_text(grid)}")
    layer.grid_size, layer.n_partitions = grid, grid[0] // new
    layer.p, layer.g = (new, grid[0] // new) if layer.partition_type == "window" else (grid[0] // new, new)
    attention = layer.attn_layer[1]
    if old != new:
        attention.size, attention.max_seq_len = new, new * new
        table = attention.relative_position_bias_table
        _renew(attention, "relative_position_bias_table", table, (2 * old - 1,) * 2, (2 * new - 1,) * 2, convention, 0)
        index = _relative_position_index(new).to(attention.relative_position_index.device)
        attention.relative_position_index = index


def _relative_position_index(window: int) -> Tensor:
    """(N, N) for the N positions of a square window: the row of the table for every pair, in row-major order."""
    rows, columns = (axis.flatten() for axis in torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij"))
    down, right = (axis[:, None] - axis[None, :] + window - 1 for axis in (rows, columns))
    return down * (2 * window - 1) + right


def _fit_timm_maxvit(model: Any, path: str, size: Grid, convention: Convention) -> Iterator[Change]:
    """Fit MaxViT, which has equal windows at all stages, and CoAtNet, whose windows are whole maps."""
    maps, windows = _maps(model.stem, [[*stage.blocks] for stage in model.stages], size), _windows(model)
    partitions = [module.partition_size for module in model.modules() if hasattr(module, "partition_size")]
    partition = maps[-1]
    if partitions:
        axes = [[grid[axis] for grid in maps] for axis in (0, 1)]
        height, width = map(_largest_divisor, axes, map(min, zip(*partitions, strict=True)))
        partition = height, width
        _check_partition(type(model).__name__, maps, partition)
    with _without_warnings():
        for stage, grid in zip(model.stages, maps, strict=True):
            stage.set_input_size(feat_size=grid, window_size=partition, grid_size=partition)
    model.img_size = size
    yield from _changed_windows(path, windows, _windows(model))


# --- which model is which


def _is_timm(module: nn.Module) -> bool:
    return type(module).__module__.startswith("timm.models.")


def _is_timm_with_patches(module: Any) -> bool:
    patches: Any = getattr(module, "patch_embed", None)
    if not (_is_timm(module) and isinstance(getattr(patches, "proj", None), nn.Conv2d)):
        return False
    return hasattr(patches, "set_input_size") and bool(patches.grid_size)


def _is_timm_maxvit(module: Any) -> bool:
    stages = getattr(module, "stages", None)
    resizable = isinstance(stages, nn.Sequential) and all(hasattr(stage, "set_input_size") for stage in stages)
    return _is_timm(module) and hasattr(module, "stem") and resizable


def _is_transformers(module: Any) -> bool:
    patches = getattr(module, "patch_embeddings", None)
    has_positions = isinstance(getattr(module, "position_embeddings", None), nn.Parameter)
    return (
        has_positions and hasattr(patches, "image_size") and isinstance(getattr(patches, "projection", None), nn.Conv2d)
    )


def _has_transformers_config(module: Any) -> bool:
    return hasattr(module, "config") and any(map(_is_transformers, module.modules()))


_FITS: list[tuple[Callable[[Any], bool], Callable[[Any, str, Grid, Convention], Iterator[Change]]]] = [
    (lambda module: isinstance(module, VisionTransformer), _fit_torchvision_vit),
    (lambda module: isinstance(module, MaxVit), _fit_torchvision_maxvit),
    (_is_timm_with_patches, _fit_timm),
    (_is_timm_maxvit, _fit_timm_maxvit),
    (_is_transformers, _fit_transformers),
    (_has_transformers_config, _fit_config),
]
