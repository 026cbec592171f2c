"""Fuzzing: whatever parses bytes takes them or refuses them as it is documented, whatever they are.

A *target* is one thing that parses, with inputs that fit it and inputs that nearly do, what must hold for each, and a
control: the same with a parser that is broken, which must be found. `test_targets` draws a few thousand inputs, the
same each time; `scripts/fuzz` runs for as long as it is told.
"""
