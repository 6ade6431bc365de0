"""Define the commands, one in each module: options in, one call of the library, printed results and exit code out."""
