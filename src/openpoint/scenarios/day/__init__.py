"""A day of a grid: its periods, profiles, prices and resources as tables, and their arrays."""
