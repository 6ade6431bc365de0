"""Read prediction tables from text files, align them, and write them back; also the challenge's submission format."""
