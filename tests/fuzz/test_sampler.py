"""A training with interruptions, on every rank, has the batches of one that was never interrupted."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fuzzing import count_case, share
from resizenet.transforms import MultiResolutionBatchSampler
from strategies import schedules


class Training(RuleBasedStateMachine):
    """All ranks take batches in step; any of them may stop and come back from its state."""

    @initialize(
        samples=st.integers(1, 30),
        batch_size=st.integers(1, 5),
        schedule=schedules(),
        epochs=st.integers(1, 3),
        ranks=st.integers(1, 3),
        batch_mode=st.sampled_from(["constant", "inverse_area"]),
        drop_last=st.booleans(),
    )
    def begin(self, samples: int, ranks: int, **options: Any) -> None:
        self.arguments = {"dataset": range(samples), "num_replicas": ranks, **options}
        self.samplers = [self.make(rank) for rank in range(ranks)]
        self.epoch, self.done = 0, 0
        self.whole = [list(self.make(rank)) for rank in range(ranks)]
        self.iterators = [iter(sampler) for sampler in self.samplers]

    def make(self, rank: int) -> MultiResolutionBatchSampler:
        return MultiResolutionBatchSampler(rank=rank, **self.arguments)

    @precondition(lambda self: self.done < len(self.whole[0]))
    @rule()
    def step(self) -> None:
        count_case()
        batches = [next(iterator) for iterator in self.iterators]
        assert batches == [whole[self.done] for whole in self.whole]
        assert len({(len(batch), batch[0][1]) for batch in batches}) == 1
        self.done += 1

    @rule(fresh=st.booleans())
    def interrupt(self, fresh: bool) -> None:
        """Go on from the state, in the same samplers or in new ones."""
        count_case()
        states = [copy.deepcopy(sampler.state_dict(batches_done=self.done)) for sampler in self.samplers]
        if fresh:
            self.samplers = [self.make(rank) for rank in range(len(self.samplers))]
        for sampler, state in zip(self.samplers, states, strict=True):
            sampler.load_state_dict(state)
            sampler.set_epoch(self.epoch)
        self.iterators = [iter(sampler) for sampler in self.samplers]

    @precondition(lambda self: self.epoch + 1 < self.arguments["epochs"])
    @rule()
    def next_epoch(self) -> None:
        count_case()
        for iterator in self.iterators:
            list(iterator)
        self.epoch, self.done = self.epoch + 1, 0
        references = [self.make(rank) for rank in range(len(self.samplers))]
        for sampler in (*self.samplers, *references):
            sampler.set_epoch(self.epoch)
        self.whole = [list(reference) for reference in references]
        self.iterators = [iter(sampler) for sampler in self.samplers]

    @invariant()
    def lengths_agree(self) -> None:
        if hasattr(self, "whole"):
            assert {sampler.num_batches(self.epoch) for sampler in self.samplers} == {len(self.whole[0])}


TestTraining = Training.TestCase
TestTraining.settings = share(0.17, steps=10)
