"""numba without Python objects: decorators, and one argument for many arrays."""
