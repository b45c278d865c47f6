"""The states of switches written back into the user's own file, in which nothing else is touched."""
