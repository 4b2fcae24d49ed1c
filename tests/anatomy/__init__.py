"""Claims about the anatomy room."""
