"""Orders of switching from one state of a grid to another."""
