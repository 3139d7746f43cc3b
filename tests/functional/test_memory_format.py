"""``is_channels_last`` and ``memory_format_of`` on tensors of known strides."""

import pytest
import torch

from resizenet.functional._memory_format import is_channels_last, memory_format_of, to_memory_format_of


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((2, 3, 5, 7), (105, 35, 7, 1), False),
        ((2, 3, 5, 7), (105, 1, 21, 3), True),
        ((2, 1, 5, 7), (35, 1, 7, 1), False),  # one channel: in both formats
        ((2, 3, 1, 1), (3, 1, 3, 3), False),  # one pixel: in both formats
        ((2, 3, 5, 7), (210, 70, 14, 2), False),  # in neither
        ((3, 5, 7), (1, 21, 3), False),
    ],
)
def test_a_tensor_in_both_formats_counts_as_contiguous(
    shape: tuple[int, ...], strides: tuple[int, ...], expected: bool
) -> None:
    x = torch.empty_strided(shape, strides)
    assert is_channels_last(x) == expected
    assert memory_format_of(x) == (torch.channels_last if expected else torch.contiguous_format)


def test_a_result_follows_channels_last_only() -> None:
    out, last = torch.rand(2, 3, 5, 7), torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert to_memory_format_of(out, out) is out
    moved = to_memory_format_of(out, last)
    assert is_channels_last(moved)
    assert torch.equal(moved, out)
