"""Render metrics of prediction tables, and their comparison, as one HTML page."""
