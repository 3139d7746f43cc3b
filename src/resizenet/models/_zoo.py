"""The published networks by name: what each is made of, and the counts that it must have."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._errors import UnknownNameError
from ._blocks import BasicBlock, Bottleneck, PreActBlock, PreActBottleneck, WideBlock
from ._resnet import ResNet
from ._resnet9 import ResNet9


@dataclass(frozen=True)
class Entry:
    """A published network.

    Attributes:
        build: makes it; keyword arguments are those of the class and of its block.
        params: trainable parameters, for 10 classes.
        macs: multiply-accumulates of convolutions and linear layers, for 10 classes and one image of 3x32x32.
    """

    build: Callable[..., ResNet]
    params: int
    macs: int


ENTRIES: dict[str, Entry] = {}

_RESNET = 'He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385)'
_PREACT = 'He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027)'
_WIDE = 'Zagoruyko & Komodakis 2016, "Wide Residual Networks" (arXiv 1605.07146)'
_RESNEXT = 'Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks" (arXiv 1611.05431)'
_SQUEEZE = 'Hu et al. 2018, "Squeeze-and-Excitation Networks" (arXiv 1709.01507)'
_NARROW = (16, 32, 64)


def _publish(
    name: str,
    title: str,
    source: str,
    *,
    params: int,
    macs: int,
    error: str = "",
    network: Callable[..., ResNet] = ResNet,
    **defaults: Any,
) -> Callable[..., ResNet]:
    """Enter a network and return the function that makes it."""

    def build(**kwargs: Any) -> ResNet:
        return network(**{**defaults, **kwargs})

    build.__name__ = build.__qualname__ = name
    build.__doc__ = _describe(title, source, params, macs, error, defaults)
    ENTRIES[name] = Entry(build, params, macs)
    return build


def _describe(title: str, source: str, params: int, macs: int, error: str, defaults: dict[str, Any]) -> str:
    settings = ", ".join(f"{key}={getattr(value, '__name__', repr(value))}" for key, value in defaults.items())
    published = f"\n\n    Published test error: {error}." if error else ""
    arguments = (
        f"those of ``ResNet`` and of its block, and go before these: ``{settings}``"
        if defaults
        else "those of ``ResNet9``"
    )
    return f"""{title}.

    {source}.

    {params:,} parameters and {macs:,} multiply-accumulates, for 10 classes and one image of 3x32x32.{published}

    Args:
        **kwargs: {arguments}.
    """


def _cifar(depth: int, params: int, macs: int, error: str) -> Callable[..., ResNet]:
    """Depth 6n + 2, option A; ``shortcut="projection"`` is option B."""
    return _publish(
        f"resnet{depth}",
        f'ResNet-{depth} for small images, with the shortcuts of option A; ``shortcut="projection"`` gives option B',
        f"{_RESNET}, section 4.2",
        params=params,
        macs=macs,
        error=f"{error} on CIFAR-10",
        block=BasicBlock,
        depths=((depth - 2) // 6,) * 3,
        widths=_NARROW,
        shortcut="pad",
    )


resnet20 = _cifar(20, 269_722, 40_551_040, "8.75 %")
resnet32 = _cifar(32, 464_154, 68_862_592, "7.51 %")
resnet44 = _cifar(44, 658_586, 97_174_144, "7.17 %")
resnet56 = _cifar(56, 853_018, 125_485_696, "6.97 %")
resnet110 = _cifar(110, 1_727_962, 252_887_680, "6.43 % (6.61 +- 0.16 %)")
resnet1202 = _cifar(1202, 19_421_274, 2_829_238_912, "7.93 %")


def _preact(depth: int, params: int, macs: int, error: str = "") -> Callable[..., ResNet]:
    """Basic blocks and depth 6n + 2, or bottlenecks, four times as wide, and depth 9n + 2."""
    basic = depth in (20, 56, 110)
    return _publish(
        f"preact_resnet{depth}",
        f"Pre-activation ResNet-{depth} for small images, with {'basic blocks' if basic else 'bottlenecks'}",
        f"{_PREACT}, table 3",
        params=params,
        macs=macs,
        error=error,
        block=PreActBlock if basic else PreActBottleneck,
        depths=((depth - 2) // (6 if basic else 9),) * 3,
        widths=_NARROW if basic else (64, 128, 256),
        stem_width=16,
    )


preact_resnet20 = _preact(20, 272_282, 40_813_184)
preact_resnet56 = _preact(56, 855_578, 125_747_840)
preact_resnet110 = _preact(110, 1_730_522, 253_149_824, "6.37 % on CIFAR-10")
preact_resnet164 = _preact(164, 1_703_258, 247_646_720, "5.46 % on CIFAR-10, 24.33 % on CIFAR-100")
preact_resnet1001 = _preact(1001, 10_327_706, 1_490_995_712, "4.92 % on CIFAR-10, 22.71 % on CIFAR-100")


def _wide(depth: int, width: int, params: int, macs: int, error: str = "") -> Callable[..., ResNet]:
    """Depth 6n + 4, ``width`` times the channels."""
    return _publish(
        f"wrn_{depth}_{width}",
        f"Wide ResNet {depth}-{width}; ``dropout=0.3`` gives the published variant with dropout",
        f"{_WIDE}, section 2, table 1",
        params=params,
        macs=macs,
        error=error,
        block=WideBlock,
        depths=((depth - 4) // 6,) * 3,
        widths=tuple(width * channels for channels in _NARROW),
        stem_width=16,
    )


wrn_16_4 = _wide(16, 4, 2_748_890, 392_612_352)
wrn_40_4 = _wide(40, 4, 8_949_210, 1_298_582_016, "4.53 % on CIFAR-10, 21.18 % on CIFAR-100")
wrn_16_8 = _wide(16, 8, 10_961_370, 1_548_145_664, "4.27 % on CIFAR-10, 20.43 % on CIFAR-100")
wrn_28_10 = _wide(
    28,
    10,
    36_479_194,
    5_243_328_768,
    "4.00 % on CIFAR-10, 19.25 % on CIFAR-100; with dropout of 0.3 3.89 % and 18.85 %",
)


def _resnext(groups: int, width: int, params: int, macs: int, error: str = "") -> Callable[..., ResNet]:
    """``groups`` paths of ``width`` channels in the first stage, whose output has 256."""
    return _publish(
        f"resnext29_{groups}x{width}d",
        f"ResNeXt-29, {groups}x{width}d",
        f"{_RESNEXT}, section 5.3",
        params=params,
        macs=macs,
        error=error,
        block=Bottleneck,
        depths=(3, 3, 3),
        widths=(256, 512, 1024),
        stem_width=64,
        groups=groups,
        bottleneck_ratio=groups * width / 256,
    )


resnext29_8x64d = _resnext(8, 64, 34_426_698, 5_387_266_048, "3.65 % on CIFAR-10, 17.77 % on CIFAR-100")
resnext29_16x64d = _resnext(16, 64, 68_155_210, 10_688_866_304, "3.58 % on CIFAR-10, 17.31 % on CIFAR-100")
resnext29_32x4d = _resnext(32, 4, 4_775_754, 774_055_936)


def _imagenet(depth: int, depths: tuple[int, ...], params: int, macs: int) -> Callable[..., ResNet]:
    """Basic blocks up to 34 layers, bottlenecks, four times as wide, beyond."""
    basic = depth < 50
    return _publish(
        f"resnet{depth}",
        f'ResNet-{depth} with the small stem; ``stem="imagenet", num_classes=1000`` gives the network for 224 px',
        f"{_RESNET}, table 1",
        params=params,
        macs=macs,
        block=BasicBlock if basic else Bottleneck,
        depths=depths,
        widths=(64, 128, 256, 512) if basic else (256, 512, 1024, 2048),
        stem_width=64,
    )


resnet18 = _imagenet(18, (2, 2, 2, 2), 11_173_962, 555_422_720)
resnet34 = _imagenet(34, (3, 4, 6, 3), 21_282_122, 1_159_402_496)
resnet50 = _imagenet(50, (3, 4, 6, 3), 23_520_842, 1_297_829_888)
resnet101 = _imagenet(101, (3, 4, 23, 3), 42_512_970, 2_509_983_744)
resnet152 = _imagenet(152, (3, 8, 36, 3), 58_156_618, 3_722_137_600)


def _squeeze(depth: int, params: int, macs: int) -> Callable[..., ResNet]:
    """The network of depth 6n + 2 with projection shortcuts and a gate on every branch."""
    return _publish(
        f"se_resnet{depth}",
        f"SE-ResNet-{depth} for small images, reduction 16, with projection shortcuts",
        f"{_SQUEEZE}, section 3",
        params=params,
        macs=macs,
        block=BasicBlock,
        depths=((depth - 2) // 6,) * 3,
        widths=_NARROW,
        se_reduction=16,
    )


se_resnet20 = _squeeze(20, 274_847, 40_815_200)
se_resnet56 = _squeeze(56, 862_889, 125_753_888)
se_resnet110 = _squeeze(110, 1_744_952, 253_161_920)

resnet14_64 = _publish(
    "resnet14_64",
    'The three-stage network of "How to do a ResNet for 32x32 images?": reduced depth, 64 channels throughout',
    f"Residual blocks of {_RESNET}, section 3.3, option B",
    params=454_858,
    macs=201_261_696,
    block=BasicBlock,
    depths=(2, 2, 2),
    widths=(64, 64, 64),
)

resnet9 = _publish(
    "resnet9",
    "The nine-layer network of Page's entry to DAWNBench",
    'Page 2018, "How to Train Your ResNet", part 4, Architecture (myrtle.ai)',
    params=6_573_120,
    macs=379_261_952,
    network=ResNet9,
)


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models, sorted; ``pattern`` is a shell pattern.

    Example:
        >>> list_models("wrn*")
        ['wrn_16_4', 'wrn_16_8', 'wrn_28_10', 'wrn_40_4']
    """
    return sorted(fnmatch.filter(ENTRIES, pattern))


def create_model(name: str, **kwargs: Any) -> ResNet:
    """The model of that name, with fresh weights; keyword arguments are those of ``ResNet`` and of its block.

    Raises:
        UnknownNameError: no model of that name; the message lists the closest ones.

    Example:
        >>> sum(p.numel() for p in create_model("resnet20").parameters())
        269722
    """
    if name not in ENTRIES:
        close = difflib.get_close_matches(str(name), ENTRIES, n=3, cutoff=0.3)
        hint = f"; the closest are {', '.join(map(repr, close))}" if close else ""
        raise UnknownNameError(
            f"name: expected one of the {len(ENTRIES)} names that list_models() lists, got {name!r}{hint}"
        )
    return ENTRIES[name].build(**kwargs)
