"""Generation: one interface to the engines that turn prompts into completions.

`engine.load` returns the engine that the settings name. `shards.generate` runs prompts through it shard by shard, so a
killed job resumes after its last finished shard and ends with the same bytes.
"""
