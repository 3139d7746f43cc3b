"""What the tests are worth: fuzz runs, seeded faults that the tests find, and the models that ``report`` takes."""

from ._docs import write_docs

__all__ = ["write_docs"]
