"""Turn command-line arguments into calls of the library, and what these return into text, files and exit codes."""
