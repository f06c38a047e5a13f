"""Architectures, one file each, and the folders in which trained ones live."""
