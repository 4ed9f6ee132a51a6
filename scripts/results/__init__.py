"""What one asks of finished results: lineage, verification, export."""
