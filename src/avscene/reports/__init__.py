"""Render metrics as text tables, plots, Markdown, JSON values and self-contained HTML pages."""
