"""Show the predictions of many recordings: their spans and scenes, rows of tables, and a page with all of them."""
