"""The Triton kernels: the only files that import triton."""
