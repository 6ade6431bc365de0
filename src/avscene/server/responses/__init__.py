"""Define what the API answers: bodies with their examples, files of media, previews, and documented failures."""
