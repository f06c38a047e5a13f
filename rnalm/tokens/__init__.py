"""Sequences ─► tokens ─► encoded Parquet ─► batches."""
