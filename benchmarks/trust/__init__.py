"""What the tests are worth: fuzz runs, seeded faults that the tests find, and the models that the functions take."""

from ._docs import write_docs

__all__ = ["write_docs"]
