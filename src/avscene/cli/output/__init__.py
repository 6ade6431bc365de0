"""Turn predictions and metrics into text, and write it to standard output or to files."""
