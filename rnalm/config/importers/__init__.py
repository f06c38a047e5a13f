"""Other systems' configurations ─► ours."""
