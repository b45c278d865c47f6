"""The power flow of today's state."""
