"""The batch sampler and its dataset in a DataLoader: persistent workers see every size, and an epoch can be resumed."""

import os
from collections.abc import Callable

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.transforms import v2

from resizenet import ArgumentError
from resizenet.models import BasicBlock, ResNet
from resizenet.transforms import MultiResolutionBatchSampler, MultiResolutionDataset, ResolutionSchedule, StretchPolicy

Sample = tuple[Image.Image, int]


class GrayImages(Dataset[Sample]):
    """Images whose gray level is their number."""

    def __len__(self) -> int:
        return 41

    def __getitem__(self, number: int) -> Sample:
        return Image.new("L", (30, 20), number), number


class ToTensor:
    """A picklable function from a size to a transform, whose samples also name the worker process."""

    def __call__(self, size: tuple[int, int]) -> Callable[[Sample], tuple[torch.Tensor, int, int]]:
        resize = StretchPolicy(size).train()

        def transform(sample: Sample) -> tuple[torch.Tensor, int, int]:
            image, number = resize(sample)
            return torch.tensor(list(image.tobytes())).reshape(1, image.height, image.width), number, os.getpid()

        return transform


def make_loader(sampler: MultiResolutionBatchSampler, workers: int) -> DataLoader:
    dataset = MultiResolutionDataset(GrayImages(), ToTensor())
    return DataLoader(dataset, batch_sampler=sampler, num_workers=workers, persistent_workers=workers > 0)


def test_two_persistent_workers_see_every_change_of_size() -> None:
    schedule = ResolutionSchedule.stages({0: 16, 1 / 3: (24, 20), 2 / 3: 32})
    sampler = MultiResolutionBatchSampler(range(41), 4, schedule, epochs=3)
    loader, workers = make_loader(sampler, 2), []
    for epoch, size in enumerate([(16, 16), (24, 20), (32, 32)]):
        sampler.set_epoch(epoch)
        batches = list(loader)
        assert {tuple(images.shape[-2:]) for images, _, _ in batches} == {size}
        assert sorted(int(number) for _, labels, _ in batches for number in labels) == list(range(41))
        assert all((images[:, 0, 0, 0] == labels).all() for images, labels, _ in batches)
        workers.append({int(pid) for _, _, pids in batches for pid in pids})
    assert len(workers[0]) == 2
    assert workers[0] == workers[1] == workers[2] != {os.getpid()}


class SizedByAttribute(Dataset[torch.Tensor]):
    """What people try first."""

    size = 16

    def __len__(self) -> int:
        return 8

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.zeros(1, self.size, self.size)


def test_an_attribute_of_the_dataset_does_not_reach_persistent_workers() -> None:
    dataset = SizedByAttribute()
    loader = DataLoader(dataset, batch_size=4, num_workers=2, persistent_workers=True)
    assert {batch.shape[-1] for batch in loader} == {16}
    dataset.size = 32
    assert {batch.shape[-1] for batch in loader} == {16}  # the failure that the index avoids


@pytest.mark.parametrize("workers", [0, 2])  # with workers a DataLoader makes two iterators, and uses the second
def test_a_loader_resumes_in_the_middle_of_an_epoch_and_goes_on_with_the_next(workers: int) -> None:
    schedule = ResolutionSchedule.mix({16: 1, (24, 20): 1, 32: 1})
    original, resumed = (MultiResolutionBatchSampler(range(41), 4, schedule, epochs=3) for _ in range(2))
    resumed.load_state_dict(original.state_dict(batches_done=5))
    loader = make_loader(resumed, workers)
    for epoch, done in enumerate([5, 0]):
        original.set_epoch(epoch)
        resumed.set_epoch(epoch)
        expected = [[number for number, _ in batch] for batch in original][done:]
        assert len(loader) == len(expected)
        assert [labels.tolist() for _, labels, _ in loader] == expected


def test_a_policy_is_used_at_the_size_of_the_index() -> None:
    dataset = MultiResolutionDataset([(torch.zeros(1, 20, 30), "cat")] * 3, StretchPolicy((5, 7)))
    assert len(dataset) == 3
    image, label = dataset[2, (11, 13)]
    assert (image.shape, label) == ((1, 11, 13), "cat")
    assert dataset[0, (16, 17)][0].shape == (1, 16, 17)


def test_pil_images_behind_a_policy_are_refused_with_the_remedy() -> None:
    dataset = MultiResolutionDataset(GrayImages(), StretchPolicy(16))
    with pytest.raises(ArgumentError, match=r"got a PIL image; .* v2\.ToImage\(\)"):
        dataset[0, (16, 16)]


def test_a_function_of_the_size_converts_flips_and_normalizes() -> None:
    def transform(size: tuple[int, int]) -> v2.Transform:
        to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.25])]
        return v2.Compose([StretchPolicy(size).train(), v2.RandomHorizontalFlip(), *to_tensor])

    sampler = MultiResolutionBatchSampler(range(41), 41, ResolutionSchedule.stages({0: (6, 9)}), epochs=1)
    loader = DataLoader(MultiResolutionDataset(GrayImages(), transform), batch_sampler=sampler)
    ((images, labels),) = loader
    assert images.shape == (41, 1, 6, 9)
    expected = ((labels / 255 - 0.5) / 0.25)[:, None, None, None].expand_as(images)
    torch.testing.assert_close(images, expected)


@pytest.mark.slow
def test_two_workers_feed_a_network_that_learns_in_two_epochs() -> None:
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target)
    train = TensorDataset(images[:1400], labels[:1400])
    sampler = MultiResolutionBatchSampler(train, 16, ResolutionSchedule.step(8, 16, steps=2, multiple=4), epochs=2)
    dataset = MultiResolutionDataset(train, StretchPolicy(16))
    loader = DataLoader(dataset, batch_sampler=sampler, num_workers=2, persistent_workers=True)
    model = ResNet(BasicBlock, (1, 1), (16, 32), in_channels=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    seen = set()
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for x, y in loader:
            seen.add(tuple(x.shape[-2:]))
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert seen == {(8, 8), (16, 16)}
    found = model.eval()(StretchPolicy(16).eval()(images[1400:])).argmax(1)
    assert (found == labels[1400:]).float().mean() > 0.6  # chance is 0.1
