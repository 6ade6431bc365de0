"""Render published and measured metrics of the paper's systems as Markdown, JSON and HTML."""
