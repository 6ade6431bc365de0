"""Serve the classification of recordings over HTTP, and a page in which one looks at the results."""
