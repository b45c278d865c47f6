"""Branch exchange: good states by closing one branch and opening another."""
