"""Measures servers against each other: the same work, in turn, on two cores. `bench/run` is its front door."""
