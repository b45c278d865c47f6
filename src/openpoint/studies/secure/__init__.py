"""Faults of branches: which supply can be restored by switching, and how long customers are interrupted."""
