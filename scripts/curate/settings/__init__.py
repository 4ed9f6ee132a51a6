"""One settings module per step of curation: a step's identity holds its own settings module and no other."""
