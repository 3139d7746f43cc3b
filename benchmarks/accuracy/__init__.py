"""Accuracy experiments: every arm gets the same epochs, recipe, augmentation and seeds; the last epoch counts."""
