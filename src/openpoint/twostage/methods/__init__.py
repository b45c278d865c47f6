"""Methods: Benders decomposition, column-and-constraint generation, the extensive form."""
