"""Encoded sequences and folds ─► trained models."""
