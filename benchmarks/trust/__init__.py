"""What the tests are worth: the summaries of fuzz runs, and how many seeded faults the tests find."""
