"""Faults as a limit and an objective of a topology: restorable by one tie, and interruptions a year."""
