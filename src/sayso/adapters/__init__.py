"""One agent framework, one file or folder: each brings its framework's questions to an Asker and the outcome back."""
