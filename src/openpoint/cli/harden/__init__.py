"""The command `harden`."""
