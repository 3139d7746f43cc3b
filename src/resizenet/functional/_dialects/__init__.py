"""The resizes of other libraries: every one is two small matrices and a rule for rounding."""
