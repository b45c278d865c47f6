"""A partition over time."""
