"""One topology for many futures."""
