"""Share checkpoints through repositories of the Hugging Face hub: push them, and fetch them strictly."""
