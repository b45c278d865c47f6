"""The mathematical model of a partition."""
