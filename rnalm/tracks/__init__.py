"""Scores, predictions and effects along sequences ─► files for genome browsers, and the strongest elements."""
