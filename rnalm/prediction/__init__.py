"""Encoded sequences ─► predictions ─► how good they are."""
