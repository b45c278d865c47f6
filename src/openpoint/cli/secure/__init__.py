"""The command `secure`."""
