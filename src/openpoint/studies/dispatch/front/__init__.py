"""The front of two criteria: how much of one is to be had for how much of the other."""
