"""The commands, by what a user is at: options in, exit codes out. What they do is done elsewhere."""
