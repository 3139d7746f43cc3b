"""Whose resize a pipeline is, found by what it does to test images, and how far two pipelines are apart."""
