"""Show reports as text, in a notebook, in a terminal with rich, and as a picture."""
