"""Laws of sizes and rounding: plain numbers in, plain numbers out."""

from collections import UserList
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as torchvision

from resizenet import SizeError
from resizenet._sizes import (
    View,
    cover_size,
    fit_size,
    fit_size_half_to_even,
    keep_ratio_size,
    letterbox,
    nearest_multiple,
    parse_size,
    round_half_up,
    round_up_to_multiple,
)
from strategies import Letterboxing, bad_sizes, lengths, letterboxings, positive_lengths, sizes


@given(lengths)
def test_an_int_means_a_square(length: int) -> None:
    assert parse_size(length) == (length, length)


@given(sizes)
def test_a_pair_is_height_and_width_in_that_order(size: tuple[int, int]) -> None:
    assert parse_size(size) == parse_size(list(size)) == parse_size(UserList(size)) == size


def test_whole_numbers_of_numpy_are_sizes() -> None:
    size = parse_size((np.int64(5), np.uint8(7)))
    assert size == (5, 7)
    assert [type(side) for side in size] == [int, int]


@given(bad_sizes)
@example(float("nan"))
@example((3, True))
@example(b"ab")
@example((3, 2**31))
@example((2**29, 2**28 + 1))
@example(10**400)
def test_anything_else_is_a_size_error_that_names_the_argument(size: object) -> None:
    with pytest.raises(SizeError, match=r"^eval_size: expected an int or \(height, width\)"):
        parse_size(size, argument="eval_size")


class SymInt:
    """Like torch's symbolic int for a length that depends on data, it cannot be compared with a bound."""

    def __lt__(self, other: int) -> bool:
        assert other == 1
        return False


def test_a_symbolic_int_is_compared_with_no_bound_but_one() -> None:
    length = SymInt()
    assert parse_size(length) == (length, length)
    assert parse_size((length, 7)) == (length, 7)
    assert parse_size((7, length)) == (7, length)


def test_an_image_has_at_most_as_many_pixels_as_there_are_addresses() -> None:
    assert parse_size((2**29, 2**28)) == (2**29, 2**28)
    assert parse_size((2**31 - 1, 1)) == (2**31 - 1, 1)


@given(positive_lengths)
def test_rounding_is_to_the_nearest_whole_pixel_and_never_below_one(length: float) -> None:
    rounded = round_half_up(length)
    assert rounded >= 1
    assert abs(rounded - length) <= 0.5 or length < 0.5


@given(lengths)
def test_convention_a_half_rounds_up(length: int) -> None:
    assert round_half_up(length + 0.5) == length + 1


@given(sizes, sizes)
def test_covering_sizes_cover_and_touch_the_target(size: tuple[int, int], target: tuple[int, int]) -> None:
    covering = cover_size(*size, target)
    assert all(side >= least for side, least in zip(covering, target, strict=True))
    assert any(side == least for side, least in zip(covering, target, strict=True))


@given(sizes, sizes)
def test_covering_sizes_keep_the_shape_to_half_a_pixel(size: tuple[int, int], target: tuple[int, int]) -> None:
    factor = max(Fraction(target[0], size[0]), Fraction(target[1], size[1]))
    for before, after in zip(size, cover_size(*size, target), strict=True):
        assert abs(after - factor * before) <= Fraction(1, 2)


@given(sizes, sizes)
def test_covering_commutes_with_transposition(size: tuple[int, int], target: tuple[int, int]) -> None:
    assert cover_size(*size[::-1], target[::-1]) == cover_size(*size, target)[::-1]


@given(sizes)
def test_an_image_of_the_target_size_stays_as_it_is(size: tuple[int, int]) -> None:
    assert cover_size(*size, size) == size


@pytest.mark.parametrize(
    ("size", "target", "covering"),
    [
        ((20, 25), (10, 10), (10, 13)),  # 12.5: half to even and the floor give 12
        ((25, 20), (10, 10), (13, 10)),
        ((375, 500), (256, 256), (256, 341)),  # 341.3
        ((480, 640), (240, 400), (300, 400)),
        ((1, 1000), (7, 7), (7, 7000)),
        ((32, 32), (224, 160), (224, 224)),
    ],
)
def test_covering_sizes_worked_out_by_hand(
    size: tuple[int, int], target: tuple[int, int], covering: tuple[int, int]
) -> None:
    assert cover_size(*size, target) == covering


@given(sizes, sizes)
def test_fitting_sizes_fit_and_touch_the_target(size: tuple[int, int], target: tuple[int, int]) -> None:
    fitting = fit_size(*size, target)
    assert all(1 <= side <= most for side, most in zip(fitting, target, strict=True))
    assert any(side == most for side, most in zip(fitting, target, strict=True))


@given(sizes, sizes)
def test_fitting_sizes_keep_the_shape_to_half_a_pixel_or_are_one_pixel(
    size: tuple[int, int], target: tuple[int, int]
) -> None:
    factor = min(Fraction(target[0], size[0]), Fraction(target[1], size[1]))
    for before, after in zip(size, fit_size(*size, target), strict=True):
        assert abs(after - factor * before) <= Fraction(1, 2) or (after == 1 and factor * before < 1)


@given(sizes, sizes)
def test_fitting_commutes_with_transposition(size: tuple[int, int], target: tuple[int, int]) -> None:
    assert fit_size(*size[::-1], target[::-1]) == fit_size(*size, target)[::-1]


@given(sizes, sizes)
def test_without_enlarging_no_side_grows_and_images_inside_stay(size: tuple[int, int], target: tuple[int, int]) -> None:
    fitting = fit_size(*size, target, enlarge=False)
    inside = size[0] <= target[0] and size[1] <= target[1]
    assert fitting == (size if inside else fit_size(*size, target))
    assert fitting[0] <= size[0]
    assert fitting[1] <= size[1]


@pytest.mark.parametrize(
    ("size", "target", "fitting"),
    [
        ((20, 25), (10, 10), (8, 10)),
        ((20, 16), (10, 13), (10, 8)),
        ((25, 20), (9, 50), (9, 7)),  # 7.2
        ((40, 30), (10, 50), (10, 8)),  # 7.5: the floor gives 7
        ((52, 40), (13, 5), (7, 5)),  # 6.5: half to even gives 6
        ((1, 1000), (64, 64), (1, 64)),  # 0.064
        ((32, 32), (224, 160), (160, 160)),
        ((480, 640), (640, 640), (480, 640)),
    ],
)
def test_fitting_sizes_worked_out_by_hand(
    size: tuple[int, int], target: tuple[int, int], fitting: tuple[int, int]
) -> None:
    assert fit_size(*size, target) == fitting


@given(letterboxings())
def test_letterboxes_hold_their_content(case: Letterboxing) -> None:
    placement = letterbox(*case.source, case.target, **case.arguments)
    left, top, right, bottom = placement.padding
    assert min(left, top, right, bottom) >= 0
    assert (placement.content[0] + top + bottom, placement.content[1] + left + right) == placement.canvas
    assert (placement.top, placement.left) == (top, left)
    assert placement.content == fit_size(*case.source, case.target, enlarge=case.upscale)


@given(letterboxings())
def test_letterboxes_have_the_target_or_the_smallest_multiples_that_hold_the_content(case: Letterboxing) -> None:
    placement = letterbox(*case.source, case.target, **case.arguments)
    for canvas, content, target in zip(placement.canvas, placement.content, case.target, strict=True):
        if case.stride is None:
            assert canvas == target
        else:
            assert canvas % case.stride == 0
            assert content <= canvas < content + case.stride
            assert canvas <= target


@given(letterboxings())
def test_centered_letterboxes_put_the_odd_pixel_below_and_right(case: Letterboxing) -> None:
    left, top, right, bottom = letterbox(*case.source, case.target, **{**case.arguments, "position": "center"}).padding
    assert right - left in {0, 1}
    assert bottom - top in {0, 1}


@pytest.mark.parametrize(
    ("position", "padding"),  # 20x30 on 31x41, as (left, top, right, bottom)
    [
        ("center", [5, 5, 6, 6]),
        ("top_left", [0, 0, 11, 11]),
        ("top_right", [11, 0, 0, 11]),
        ("bottom_left", [0, 11, 11, 0]),
        ("bottom_right", [11, 11, 0, 0]),
    ],
)
def test_positions_say_where_the_content_lies(position: str, padding: list[int]) -> None:
    assert letterbox(20, 30, (31, 41), position=position, upscale=False, stride=None).padding == padding


@pytest.mark.parametrize(
    ("size", "canvas"),  # to 640 with a stride of 32, as detection networks are served
    [
        ((1080, 1920), (384, 640)),
        ((480, 640), (480, 640)),
        ((500, 375), (512, 384)),
        ((1920, 1080), (640, 384)),
        ((10, 6400), (32, 640)),
    ],
)
def test_minimal_rectangles_worked_out_by_hand(size: tuple[int, int], canvas: tuple[int, int]) -> None:
    assert letterbox(*size, (640, 640), position="center", upscale=False, stride=32).canvas == canvas


@given(lengths, lengths)
def test_rounding_up_reaches_the_next_multiple(length: int, multiple: int) -> None:
    assert round_up_to_multiple(length, multiple) == next(
        n for n in range(length, length + multiple) if n % multiple == 0
    )


@given(positive_lengths, lengths)
def test_the_nearest_multiple_is_near_and_positive(length: float, multiple: int) -> None:
    nearest = nearest_multiple(length, multiple)
    assert nearest % multiple == 0
    assert nearest >= multiple
    assert abs(nearest - length) <= multiple / 2 * (1 + 1e-9) or length < multiple  # a float's rounding at the tie


@pytest.mark.parametrize(("length", "nearest"), [(47.9, 32), (48, 64), (80, 96), (1, 32)])
def test_convention_of_two_multiples_the_larger_is_taken(length: float, nearest: int) -> None:
    assert nearest_multiple(length, 32) == nearest


@pytest.mark.parametrize(
    (
        "size",
        "target",
        "longest",
        "plain",
        "jittered",
    ),  # timm 1.0.31's ResizeKeepRatio.get_params; jittered: area 0.64, aspect 1.21
    [
        ((60, 80), (32, 32), 0.0, (32, 43), (36, 59)),
        ((60, 80), (32, 32), 1.0, (24, 32), (27, 44)),
        ((60, 80), (32, 32), 0.5, (27, 37), (31, 50)),
        ((37, 101), (29, 53), 0.0, (29, 79), (33, 109)),
        ((37, 101), (29, 53), 1.0, (19, 53), (22, 73)),
        ((500, 375), (224, 192), 0.25, (247, 185), (281, 255)),
        ((32, 32), (128, 160), 0.0, (160, 160), (182, 220)),
    ],
)
def test_keeping_the_ratio_gives_the_sizes_of_timm(
    size: tuple[int, int], target: tuple[int, int], longest: float, plain: tuple[int, int], jittered: tuple[int, int]
) -> None:
    assert keep_ratio_size(*size, target, longest=longest) == plain
    assert keep_ratio_size(*size, target, longest=longest, zoom=0.64**-0.5, stretch=1.21) == jittered


@given(sizes, sizes)
def test_keeping_the_ratio_covers_at_0_and_fits_at_1(size: tuple[int, int], target: tuple[int, int]) -> None:
    for longest, law in ((0.0, cover_size), (1.0, fit_size)):
        kept = keep_ratio_size(*size, target, longest=longest)
        assert all(
            abs(a - b) <= 1 for a, b in zip(kept, law(*size, target), strict=True)
        )  # a tie may fall to either side in floats


@pytest.mark.parametrize(
    ("size", "target", "fitting", "fitting_inside"),
    [
        ((1080, 810), (640, 640), (640, 480), (640, 480)),
        ((5, 10), (5, 5), (2, 5), (2, 5)),  # 2.5 is rounded to even
        ((7, 14), (9, 7), (4, 7), (4, 7)),
        ((3, 4), (8, 8), (6, 8), (3, 4)),
        ((1, 90), (8, 8), (1, 8), (1, 8)),
    ],
)
def test_fitting_sizes_of_yolo_worked_out_by_hand(
    size: tuple[int, int], target: tuple[int, int], fitting: tuple[int, int], fitting_inside: tuple[int, int]
) -> None:
    assert fit_size_half_to_even(*size, target) == fitting
    assert fit_size_half_to_even(*size, target, enlarge=False) == fitting_inside


# --- views

steps = st.one_of(
    st.tuples(st.just("resize"), sizes),
    st.tuples(st.just("crop"), st.tuples(st.integers(-9, 9), st.integers(-9, 9), lengths, lengths)),
    st.tuples(st.just("flip"), st.sampled_from([(0,), (1,)])),
)


def follow(point: list[float], canvas: tuple[int, int], name: str, arguments: tuple[int, ...]) -> tuple[int, int]:
    """Move a point by one step, in place, and return the new canvas."""
    if name == "resize":
        point[:] = [at * after / before for at, after, before in zip(point, arguments, canvas, strict=True)]
        return arguments[0], arguments[1]
    if name == "crop":
        point[:] = [at - start for at, start in zip(point, arguments[:2], strict=True)]
        return arguments[2], arguments[3]
    point[arguments[0]] = canvas[arguments[0]] - point[arguments[0]]
    return canvas


@given(sizes, st.lists(steps, max_size=4), st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_a_view_moves_points_as_its_steps_do(
    size: tuple[int, int], steps: list[tuple[str, tuple[int, ...]]], start: tuple[int, int]
) -> None:
    view, canvas, point = View(size, size), size, [float(at) for at in start]
    for name, arguments in steps:
        step = getattr(view, name)
        view = step(arguments) if name == "resize" else step(*arguments)
        canvas = follow(point, canvas, name, arguments)
    assert (view.source, view.canvas) == (size, canvas)
    moved = [at * scale + offset for at, scale, offset in zip(start, view.scale, view.offset, strict=True)]
    assert moved == pytest.approx(point, abs=1e-6, rel=1e-9)
    for axis in (0, 1):
        centers = [(i + 0.5) * view.scale[axis] + view.offset[axis] for i in range(size[axis])]
        inside = [i for i, at in enumerate(centers) if 1e-6 < at < canvas[axis] - 1e-6]
        first, count = view.seen(axis)
        assert set(inside) <= set(range(first, first + count))
        assert all(-1e-6 <= centers[i] <= canvas[axis] + 1e-6 for i in range(first, first + count))


@given(sizes, sizes)
def test_center_crops_are_those_of_torchvision(size: tuple[int, int], target: tuple[int, int]) -> None:
    image = torch.arange(1, size[0] * size[1] + 1).reshape(1, *size)
    found = torchvision.center_crop(image, list(target))[0]
    view = View(size, size).center_crop(*target)
    assert view.canvas == tuple(found.shape)
    for row, column in found.nonzero().tolist():
        y, x = row - view.offset[0], column - view.offset[1]
        assert found[row, column] == y * size[1] + x + 1


@pytest.mark.parametrize(
    ("view", "content"),
    [
        (View((4, 4), (8, 8)), (0, 4)),
        (View((4, 4), (8, 8), (2.0, 2.0), (-3.0, 0.0)), (-3, 8)),
        (View((4, 4), (8, 8), (1.5, 1.0), (1.0, 0.0)), (1, 6)),
        (View((3, 4), (8, 8), (1.5, 1.0), (1.0, 0.0)), None),
        (View((4, 4), (8, 8), (1.0, 1.0), (0.5, 0.0)), None),
    ],
)
def test_the_place_of_the_whole_source_is_in_whole_pixels_or_none(view: View, content: tuple[int, int] | None) -> None:
    assert view.content(0) == content
