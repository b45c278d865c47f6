"""Lines to harden and places for backup generators, before disasters."""
