"""Two-stage programs, the methods that solve them, and their logs. Nothing here depends on grids."""
