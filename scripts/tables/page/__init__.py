"""The HTML pages. Their templates have a folder of their own, so that editing one remakes the report alone."""
