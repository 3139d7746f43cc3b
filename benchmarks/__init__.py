"""Evidence: accuracy experiments and their results."""
