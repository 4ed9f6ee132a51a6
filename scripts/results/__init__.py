"""Questions to finished results: lineage, verification, export."""
