"""Accuracy experiments and throughput suites, with their committed results."""
