"""Raw corpora to records: synthetic, file and hub sources, and an adapter for each shape of data."""
