"""The version of the package, which files and documents carry."""

__version__ = "0.1.0"
