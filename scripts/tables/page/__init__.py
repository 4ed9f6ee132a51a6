"""The report's page. Its template lies in a folder of its own, so that editing it remakes the report alone."""
