"""Where buses, branches and labels of a grid lie in a picture."""
