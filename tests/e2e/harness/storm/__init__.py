"""Both peers of a running daemon at random, in time and in state: events that come late, twice, never, half, or after the
state has changed. tests/e2e/README.md tells how to run it and to read it."""
