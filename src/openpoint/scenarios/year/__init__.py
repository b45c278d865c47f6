"""A year of a grid: demands in steps, from tables of profiles."""
