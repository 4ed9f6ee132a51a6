"""Task families of the embedded corpora: each draws a prompt, its true answer and what verifies it."""
