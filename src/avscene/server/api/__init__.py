"""Define the routes of the API, one module for each group."""
