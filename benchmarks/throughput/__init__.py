"""Throughput: ours and the peers on the same inputs in one process, in alternation."""
