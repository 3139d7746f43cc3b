"""The Triton kernels on a GPU: are they right, how fast are they, and which configurations are faster."""
