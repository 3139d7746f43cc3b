"""Mistakes in arguments and samples: the type of the error, and a message that says what was expected and what came."""

from collections.abc import Callable

import pytest
import torch
from torchvision import tv_tensors

from resizenet import ArgumentError, CheckpointError, DtypeError, ShapeError, SizeError, UnknownNameError
from resizenet import transforms as T
from resizenet.transforms import ResolutionSchedule as Schedule
from samples import batch_of, boxes

SIZE = "expected an int or (height, width), each at least 1, got"
SHARE = "expected a number at least 0 and at most 1, got"
FILL = "fill: expected a number, or one for each channel, got"
RANGE = "expected (low, high) with 0 < low <= high <="
IMAGES = "BatchRandomResizedCrop: expected one tensor of images, (B, C, H, W), in the batch, got"
IMAGE = tv_tensors.Image(batch_of())
MASK = tv_tensors.Mask(torch.zeros(5, 8, dtype=torch.uint8))
MISTAKES: dict[type[Exception], list[tuple[Callable[[], object], str]]] = {
    SizeError: [
        (lambda: T.Stretch(0), f"size: {SIZE} 0"),
        (lambda: T.BatchResize(0), f"size: {SIZE} 0"),
        (lambda: T.BatchRandomResizedCrop(0), f"size: {SIZE} 0"),
        (lambda: T.Letterbox((64, 0)), f"size: {SIZE} (64, 0)"),
        (lambda: T.MultiResolutionDataset([1], T.StretchPolicy(7))[0, [7, 0]], f"size in the index: {SIZE} [7, 0]"),
        (lambda: T.PadToMultiple(0), f"multiple: {SIZE} 0"),
        (lambda: T.StretchPolicy(7).with_size(0), f"size: {SIZE} 0"),
        (lambda: T.BiTHyperRulePolicy.for_image(0, 7), f"size: {SIZE} (0, 7)"),
        (
            lambda: T.Letterbox(64).placement(None, 8),
            "height, width: expected an int or (height, width) in whole pixels",
        ),
        (lambda: T.Letterbox(64).placement(8, float("nan")), "height, width: expected an int or (height, width) in w"),
        (lambda: T.Letterbox(64).placement(8, 0), f"height, width: {SIZE} (8, 0)"),
        (lambda: T.StretchPolicy(7).simulate(0, 7), f"height, width: {SIZE} (0, 7)"),
        (lambda: T.suggest_eval_size(0), f"train_size: {SIZE} 0"),
        (lambda: T.KeepRatioPolicy(7, eval_size="7"), "eval_size: expected an int or (height, width) in whole pixels"),
        (lambda: T.Letterbox(64).inverse(batch_of(), "7"), "source_size: expected an int or (height, width)"),
        (lambda: T.BatchResize(7)(batch_of(), 2.5), "in whole pixels, got 2.5"),
        (lambda: T.BatchRandomResizedCrop(7)(batch_of(), 2.5), "in whole pixels, got 2.5"),
        (lambda: Schedule.linear(0, 7), f"size: {SIZE} 0"),
    ],
    UnknownNameError: [
        (lambda: T.FitWithin(7, interpolation="area"), "interpolation: expected one of"),
        (lambda: T.Letterbox(7, interpolation="area"), "interpolation: expected one of"),
        (lambda: T.BatchResize(7, interpolation="area"), "interpolation: expected one of"),
        (lambda: T.BatchRandomResizedCrop(7, interpolation="area"), "interpolation: expected one of"),
        (lambda: T.StretchPolicy(7, interpolation=["area"]), "interpolation: expected one of"),
        (lambda: T.Stretch(7, interpolation=["bilinear", "area"]), "got 'area'"),
        (lambda: T.PadToSquare(position="centre"), "did you mean 'center'?"),
        (lambda: T.Letterbox(64, position="top"), "position: expected one of 'center', 'top_left'"),
        (lambda: T.LetterboxPolicy(7, position="middle"), "position: expected one of"),
        (lambda: Schedule("lineal", (7,), (0,)), "rule: expected one of 'linear', 'hold', 'mix', got 'lineal'; did"),
        (lambda: sampler(batch_mode="area"), "batch_mode: expected one of 'constant', 'inverse_area', got 'area'; did"),
    ],
    ArgumentError: [
        (lambda: T.Stretch(7, interpolation=[]), "expected a name or a list of names to draw from, got an empty list"),
        (lambda: T.PadToSquare(fill="black"), f"{FILL} 'black'"),
        (lambda: T.PadToSquare(fill=()), f"{FILL} ()"),
        (lambda: T.Letterbox(64, fill=None), f"{FILL} None"),
        (lambda: T.PadToSquare(mask_fill=0.5), "mask_fill: expected an int, got 0.5"),
        (lambda: T.Letterbox(64, mask_fill=None), "mask_fill: expected an int, got None"),
        (lambda: T.LetterboxPolicy(7, mask_fill="7"), "mask_fill: expected an int, got '7'"),
        (
            lambda: T.PadToSquare(fill=300)(batch_of()),
            "PadToSquare: expected a fill that pixels of torch.uint8 can have",
        ),
        (lambda: T.PadToSquare(fill=(1, 2, 300))(batch_of()), "pixels of torch.uint8 can have, got (1, 2, 300)"),
        (lambda: T.PadToSquare(fill=1e308)(batch_of().float()), "pixels of torch.float32 can have, got 1e+308"),
        (lambda: T.Letterbox(64, fill=float("nan"))(batch_of()), "Letterbox: expected a fill that pixels of torch.u"),
        (
            lambda: T.PadToSquare(mask_fill=256)(MASK),
            "PadToSquare: expected a mask_fill that pixels of torch.uint8 can",
        ),
        (lambda: T.KeepRatioPolicy(7, fill=-1).train()(batch_of()), "RandomCrop: expected a fill that pixels of torch"),
        (lambda: T.KeepRatioPolicy(7, mask_fill=-1).train()(MASK), "RandomCrop: expected a mask_fill that pixels of t"),
        (
            lambda: T.BatchRandomResizedCrop(7)(batch_of(), generator=True),
            "generator: expected a torch.Generator, got Tr",
        ),
        (
            lambda: T.BatchRandomResizedCrop(7).draw(2, 8, 8, generator=3),
            "generator: expected a torch.Generator, got 3",
        ),
        (
            lambda: T.BatchRandomResizedCrop(7, ratio=(5e-324, 1)),
            "ratio: expected numbers of at least 4.65661e-10, got",
        ),
        (lambda: T.StretchPolicy(7).simulate(7, 7, samples=2**63), "samples: expected a positive int up to 1000000"),
        (
            lambda: T.StretchPolicy(7).simulate(1, 10**5),
            "height, width: expected one side at most 10000 times the other",
        ),
        (lambda: Schedule.step(7, 9, steps=2**63), "steps: expected an int from 2 to 10000, got 9223372036854775808"),
        (
            lambda: Schedule.cyclic(7, 9, cycles=2**63),
            "cycles: expected a positive int up to 10000, got 92233720368547",
        ),
        (lambda: sampler(epochs=10**400), "epochs: expected a positive int up to 2147483647, got 1000"),
        (lambda: T.Letterbox((64, 96), stride=64), "stride: expected a divisor of both sides of (64, 96), got 64"),
        (lambda: T.Letterbox(64, stride=0), "stride: expected a positive int, got 0"),
        (lambda: T.ResizeKeepRatio(7, longest=2), f"longest: {SHARE} 2"),
        (lambda: T.ResizeKeepRatio(7, scale_probability=-1), f"scale_probability: {SHARE} -1"),
        (lambda: T.ResizeKeepRatio(7, scale=(1, 0.5)), f"scale: {RANGE} 2.14748e+09, got (1, 0.5)"),
        (lambda: T.ResizeKeepRatio(7, ratio=("a", "b")), f"ratio: {RANGE} 2.14748e+09, got ('a', 'b')"),
        (lambda: T.BatchRandomResizedCrop(7, scale=(0, 1)), f"scale: {RANGE} 1, got (0, 1)"),
        (lambda: T.BatchRandomResizedCrop(7, scale=(0.5, 1.5)), f"scale: {RANGE} 1, got (0.5, 1.5)"),
        (lambda: T.BatchRandomResizedCrop(7, ratio=(2, 1)), f"ratio: {RANGE} 2.14748e+09, got (2, 1)"),
        (lambda: T.BatchRandomResizedCrop(7, flip_probability=2), f"flip_probability: {SHARE} 2"),
        (
            lambda: T.BatchRandomResizedCrop(7, std=(0, 1, 1), dtype=torch.float32)(batch_of()),
            "expected positive std",
        ),
        (lambda: T.KeepRatioPolicy(7, scale_probability=1.5), f"scale_probability: {SHARE} 1.5"),
        (
            lambda: T.KeepRatioPolicy(7, crop_pct=0),
            "crop_pct: expected a number above 4.65661e-10 and at most 1, got 0",
        ),
        (lambda: T.BiTHyperRulePolicy(9, 7), "resize_size: expected at least (9, 9), the size of the crop, got (7, 7)"),
        (lambda: T.suggest_eval_size(7, scale=(0.5, 2)), f"scale: {RANGE} 1, got (0.5, 2)"),
        (lambda: T.suggest_eval_size(7, target_ratio=0), "target_ratio: expected a number above 0 and at most"),
        (lambda: T.suggest_eval_size(7, multiple=0), "multiple: expected a positive int, got 0"),
        (
            lambda: T.suggest_eval_size(7, crop_pct=2),
            "crop_pct: expected a number above 4.65661e-10 and at most 1, got 2",
        ),
        (lambda: T.StretchPolicy(7).simulate(7, 7, samples=0), "samples: expected a positive int, got 0"),
        (lambda: Schedule.linear(7, 14, until=0), "until: expected a number above 0 and at most 1, got 0"),
        (lambda: Schedule.step(16, 32, steps=2, until=2), "until: expected a number above 0 and at most 1, got 2"),
        (lambda: Schedule.linear(16, 30, multiple=4), "a divisor of both sides of every size, got 4 and (30, 30)"),
        (lambda: Schedule.linear(16, 32, multiple=0), "multiple: expected a positive int, got 0"),
        (lambda: Schedule.step(16, 32, steps=1), "steps: expected an int from 2 to 10000, got 1"),
        (lambda: Schedule.stages({}), "values: expected one for each size, got 0 for 0 sizes"),
        (lambda: Schedule.stages({0.5: 16}), "progress: expected values that rise from 0 to at most 1, got (0.5,)"),
        (lambda: Schedule.stages({0: 16, 0.5: 32, 0.4: 48}), "rise from 0 to at most 1, got (0.0, 0.5, 0.4)"),
        (lambda: Schedule.stages({0: 16, 1.5: 32}), "rise from 0 to at most 1, got (0.0, 1.5)"),
        (lambda: Schedule.cyclic(16, 32, cycles=0), "cycles: expected a positive int, got 0"),
        (
            lambda: Schedule.mix({16: -1, 32: 2}),
            "weights: expected a number at least 0, got -1",
        ),
        (lambda: Schedule.mix({16: 0}), "sum of the weights: expected a number above 0, got 0"),
        (lambda: Schedule.linear(7, 9)(1.01), f"progress: {SHARE} 1.01"),
        (lambda: Schedule.linear(7, 9)(float("nan")), f"progress: {SHARE} nan"),
        (lambda: sampler(0), "dataset: expected at least one sample, got none"),
        (lambda: sampler(batch_size=0), "batch_size: expected a positive int, got 0"),
        (lambda: sampler(epochs=0), "epochs: expected a positive int, got 0"),
        (lambda: sampler(num_replicas=0), "num_replicas: expected a positive int, got 0"),
        (lambda: sampler(num_replicas=2, rank=2), "rank: expected an int from 0 to 1, got 2"),
        (lambda: sampler().set_epoch(3), "epoch: expected an int from 0 to 2, got 3"),
        (lambda: sampler().state_dict(batches_done=15), "batches_done: expected an int from 0 to 14, got 15"),
        (
            lambda: T.MultiResolutionDataset([1], T.StretchPolicy(7))[0],
            "expected (number, (height, width)), as MultiResolutionBatchSampler gives, got 0",
        ),
        (
            lambda: T.MultiResolutionDataset([1], T.StretchPolicy(7))[0.5, (7, 7)],
            "expected (number, (height, width)), as MultiResolutionBatchSampler gives, got (0.5, (7, 7))",
        ),
        (
            lambda: T.MultiResolutionDataset([1], T.NativePolicy(7)),
            "MultiResolutionDataset: expected a policy that resizes, such as UpscalePolicy, got NativePolicy",
        ),
    ],
    ShapeError: [
        (lambda: T.Stretch(7)({"label": 7}), "Stretch: expected a sample with images, masks and boxes of one size: No"),
        (lambda: T.PadToSquare()({"label": 7}), "PadToSquare: expected a sample with images"),
        (lambda: T.Letterbox(7)({"label": 7}), "Letterbox: expected a sample with images"),
        (lambda: T.Letterbox(7).inverse({}, (300, 400)), "Letterbox.inverse: expected a sample with images"),
        (
            lambda: T.Letterbox(64).inverse(torch.zeros(1, 32, 64), (300, 400)),
            "Letterbox.inverse: expected a canvas of (64, 64) for a source of (300, 400), got (32, 64)",
        ),
        (lambda: T.Stretch(7)(other_mask()), "Stretch: expected a sample with images, masks and boxes of one size: Fo"),
        (lambda: T.PadToSquare()(other_mask()), "of one size: Found multiple HxW"),
        (lambda: T.Letterbox(7)(other_mask()), "of one size: Found multiple HxW"),
        (lambda: T.BatchResize(7)(other_mask()), "BatchResize: expected a sample with images"),
        (lambda: T.BatchRandomResizedCrop(7)(other_mask()), "BatchRandomResizedCrop: expected a sample with images"),
        (lambda: T.BatchResize(7)((torch.rand(3, 5, 7), torch.arange(3))), "BatchResize: expected a sample with im"),
        (lambda: T.BatchRandomResizedCrop(7)((torch.rand(3, 5, 7), 0)), "BatchRandomResizedCrop: expected a sample"),
        (lambda: T.BatchResize(7)(torch.rand(3, 5, 7)), "resize: expected (B, C, H, W), got"),
        (lambda: T.BatchResize(64)(torch.zeros(3, 5, 7).byte()), "resize: expected (B, C, H, W), got"),
        (
            lambda: T.BatchResize(64)(torch.zeros(2, 3, 0, 7).byte()),
            "resize: expected at least one channel and one pixel, got (2, 3, 0, 7)",
        ),
        (
            lambda: T.BatchRandomResizedCrop(7)(torch.rand(3, 5, 7)),
            "with at least one channel and one pixel, got (3, 5, 7)",
        ),
        (lambda: T.BatchRandomResizedCrop(7)((tv_tensors.Mask(torch.ones(3, 5, 7)),)), f"{IMAGES} []"),
        (lambda: T.BatchRandomResizedCrop(7)((IMAGE, IMAGE)), f"{IMAGES} [(5, 3, 31, 43), (5, 3, 31, 43)]"),
        (lambda: T.BatchRandomResizedCrop(7)((tv_tensors.Image(IMAGE[0]),)), f"{IMAGES} [(3, 31, 43)]"),
        (
            lambda: T.BatchRandomResizedCrop(7)((IMAGE, tv_tensors.Mask(torch.ones(4, 31, 43)))),
            "expected Mask for each of 5 images, got 1 of shape (4, 31, 43)",
        ),
        (
            lambda: T.BatchRandomResizedCrop(7)((IMAGE, boxes([[1.0, 1, 1, 1]], (31, 43)))),
            "expected BoundingBoxes for each of 5 images, got 1",
        ),
    ],
    DtypeError: [
        (lambda: T.BatchResize(7)(batch_of(dtype=torch.int64)), "a floating point or uint8 tensor, got torch.int64"),
        (lambda: T.BatchRandomResizedCrop(7)(batch_of(dtype=torch.int64)), "or uint8 tensor, got torch.int64"),
        (
            lambda: T.BatchRandomResizedCrop(7, mean=(0, 0, 0), std=(1, 1, 1))(batch_of()),
            "mean and std need a floating point result, got torch.uint8",
        ),
    ],
    CheckpointError: [
        (
            lambda: sampler().load_state_dict(sampler(batch_size=8, seed=3).state_dict()),
            "the state has batch_size=8, expected 4; seed=3, expected 0",
        ),
        (lambda: sampler().load_state_dict(sampler(schedule=Schedule.stages({0: 7})).state_dict()), "has schedule="),
    ],
}


def sampler(
    count: int = 53, batch_size: int = 4, schedule: Schedule | None = None, *, epochs: int = 3, **options: object
) -> T.MultiResolutionBatchSampler:
    schedule = Schedule.mix({16: 1, 32: 1}) if schedule is None else schedule
    return T.MultiResolutionBatchSampler(range(count), batch_size, schedule, epochs=epochs, **options)


def other_mask() -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """An image and a mask of another size."""
    return IMAGE, tv_tensors.Mask(torch.ones(5, 31, 44))


@pytest.mark.parametrize(
    ("error", "call", "message"), [(error, *row) for error, rows in MISTAKES.items() for row in rows]
)
def test_mistakes_say_what_was_expected(error: type[Exception], call: Callable[[], object], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert message in str(caught.value)
