"""A data set to a table of recordings: path, label, group, split or fold."""
