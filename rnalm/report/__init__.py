"""Every picture and page."""
