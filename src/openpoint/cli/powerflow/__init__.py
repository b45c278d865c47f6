"""The command `powerflow`."""
