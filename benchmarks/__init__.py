"""Accuracy experiments, throughput suites and the checks of the kernels on a GPU, with their committed results."""
