"""The commands `reconfigure` and `futures`."""
