"""The published networks: their settings, their sources and the counts that they must have."""

from __future__ import annotations

from ._airnet import AirNet
from ._blocks import BasicBlock, Bottleneck, PreActBlock, PreActBottleneck, WideBlock
from ._registry import Builder, Facts, register
from ._resnet9 import ResNet9

_RESNET = 'He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385)'
_PREACT = 'He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027)'
_WIDE = 'Zagoruyko & Komodakis 2016, "Wide Residual Networks" (arXiv 1605.07146)'
_RESNEXT = 'Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks" (arXiv 1611.05431)'
_SQUEEZE = 'Hu et al. 2018, "Squeeze-and-Excitation Networks" (arXiv 1709.01507)'
_NARROW = (16, 32, 64)


def _three_stages(depth: int, layers_per_block: int, *, extra: int = 2) -> tuple[int, int, int]:
    """Blocks per stage of a network with three equal stages and ``extra`` layers outside of them."""
    blocks = (depth - extra) // (3 * layers_per_block)
    return blocks, blocks, blocks


def _cifar(depth: int, facts: Facts) -> Builder:
    return register(
        f"resnet{depth}",
        f'ResNet-{depth} for small images, with the shortcuts of option A; ``shortcut="projection"`` gives option B',
        f"{_RESNET}, section 4.2",
        facts,
        block=BasicBlock,
        depths=_three_stages(depth, 2),
        widths=_NARROW,
        shortcut="pad",
    )


resnet20 = _cifar(20, Facts(269_722, 40_551_040, "8.75 % on CIFAR-10"))
resnet32 = _cifar(32, Facts(464_154, 68_862_592, "7.51 % on CIFAR-10"))
resnet44 = _cifar(44, Facts(658_586, 97_174_144, "7.17 % on CIFAR-10"))
resnet56 = _cifar(56, Facts(853_018, 125_485_696, "6.97 % on CIFAR-10"))
resnet110 = _cifar(110, Facts(1_727_962, 252_887_680, "6.43 % (6.61 +- 0.16 %) on CIFAR-10"))
resnet1202 = _cifar(1202, Facts(19_421_274, 2_829_238_912, "7.93 % on CIFAR-10"))


def _preact(depth: int, facts: Facts) -> Builder:
    basic = depth in (20, 56, 110)
    return register(
        f"preact_resnet{depth}",
        f"Pre-activation ResNet-{depth} for small images, with {'basic blocks' if basic else 'bottlenecks'}",
        f"{_PREACT}, table 3",
        facts,
        block=PreActBlock if basic else PreActBottleneck,
        depths=_three_stages(depth, 2 if basic else 3),
        widths=_NARROW if basic else (64, 128, 256),
        stem_width=16,
    )


preact_resnet20 = _preact(20, Facts(272_282, 40_813_184))
preact_resnet56 = _preact(56, Facts(855_578, 125_747_840))
preact_resnet110 = _preact(110, Facts(1_730_522, 253_149_824, "6.37 % on CIFAR-10"))
preact_resnet164 = _preact(164, Facts(1_703_258, 247_646_720, "5.46 % on CIFAR-10, 24.33 % on CIFAR-100"))
preact_resnet1001 = _preact(1001, Facts(10_327_706, 1_490_995_712, "4.92 % on CIFAR-10, 22.71 % on CIFAR-100"))


def _wide(depth: int, factor: int, facts: Facts) -> Builder:
    return register(
        f"wrn_{depth}_{factor}",
        f"Wide ResNet {depth}-{factor}; ``dropout=0.3`` gives the published variant with dropout",
        f"{_WIDE}, section 2, table 1",
        facts,
        block=WideBlock,
        depths=_three_stages(depth, 2, extra=4),
        widths=tuple(factor * channels for channels in _NARROW),
        stem_width=16,
    )


_WRN_28_10 = "4.00 % on CIFAR-10, 19.25 % on CIFAR-100; with dropout of 0.3 3.89 % and 18.85 %"
wrn_16_4 = _wide(16, 4, Facts(2_748_890, 392_612_352))
wrn_40_4 = _wide(40, 4, Facts(8_949_210, 1_298_582_016, "4.53 % on CIFAR-10, 21.18 % on CIFAR-100"))
wrn_16_8 = _wide(16, 8, Facts(10_961_370, 1_548_145_664, "4.27 % on CIFAR-10, 20.43 % on CIFAR-100"))
wrn_28_10 = _wide(28, 10, Facts(36_479_194, 5_243_328_768, _WRN_28_10))


def _resnext(groups: int, width: int, facts: Facts) -> Builder:
    """``groups`` paths of ``width`` channels in the first stage, whose output has 256 channels."""
    return register(
        f"resnext29_{groups}x{width}d",
        f"ResNeXt-29, {groups}x{width}d",
        f"{_RESNEXT}, section 5.3",
        facts,
        block=Bottleneck,
        depths=_three_stages(29, 3),
        widths=(256, 512, 1024),
        stem_width=64,
        groups=groups,
        bottleneck_ratio=groups * width / 256,
    )


resnext29_8x64d = _resnext(8, 64, Facts(34_426_698, 5_387_266_048, "3.65 % on CIFAR-10, 17.77 % on CIFAR-100"))
resnext29_16x64d = _resnext(16, 64, Facts(68_155_210, 10_688_866_304, "3.58 % on CIFAR-10, 17.31 % on CIFAR-100"))
resnext29_32x4d = _resnext(32, 4, Facts(4_775_754, 774_055_936))


def _imagenet(depth: int, depths: tuple[int, ...], facts: Facts) -> Builder:
    basic = depth < 50
    return register(
        f"resnet{depth}",
        f'ResNet-{depth} with the small stem; ``stem="imagenet", num_classes=1000`` gives the network for 224 px',
        f"{_RESNET}, table 1",
        facts,
        block=BasicBlock if basic else Bottleneck,
        depths=depths,
        widths=(64, 128, 256, 512) if basic else (256, 512, 1024, 2048),
        stem_width=64,
    )


resnet18 = _imagenet(18, (2, 2, 2, 2), Facts(11_173_962, 555_422_720))
resnet34 = _imagenet(34, (3, 4, 6, 3), Facts(21_282_122, 1_159_402_496))
resnet50 = _imagenet(50, (3, 4, 6, 3), Facts(23_520_842, 1_297_829_888))
resnet101 = _imagenet(101, (3, 4, 23, 3), Facts(42_512_970, 2_509_983_744))
resnet152 = _imagenet(152, (3, 8, 36, 3), Facts(58_156_618, 3_722_137_600))


def _squeeze(depth: int, facts: Facts) -> Builder:
    return register(
        f"se_resnet{depth}",
        f"SE-ResNet-{depth} for small images, reduction 16, with projection shortcuts",
        f"{_SQUEEZE}, section 3",
        facts,
        block=BasicBlock,
        depths=_three_stages(depth, 2),
        widths=_NARROW,
        se_reduction=16,
    )


se_resnet20 = _squeeze(20, Facts(274_847, 40_815_200))
se_resnet56 = _squeeze(56, Facts(862_889, 125_753_888))
se_resnet110 = _squeeze(110, Facts(1_744_952, 253_161_920))

resnet14_64 = register(
    "resnet14_64",
    'The three-stage network of "How to do a ResNet for 32x32 images?": reduced depth, 64 channels throughout',
    f"Residual blocks of {_RESNET}, section 3.3, option B",
    Facts(454_858, 201_261_696),
    block=BasicBlock,
    depths=(2, 2, 2),
    widths=(64, 64, 64),
)

resnet9 = register(
    "resnet9",
    "The nine-layer network of Page's entry to DAWNBench",
    'Page 2018, "How to Train Your ResNet", part 4, Architecture (myrtle.ai)',
    Facts(6_573_120, 379_261_952),
    network=ResNet9,
)

airnet = register(
    "airnet",
    "A network for fast training: whitened input, six convolutions, partial identities at the start",
    'After Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498), section 3',
    Facts(1_971_352, 118_147_360),
    network=AirNet,
)
