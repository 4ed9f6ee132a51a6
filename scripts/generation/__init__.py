"""Generation: one interface over the engines that turn prompts into completions.

`engine.load` gives the engine that the settings name; `shards.generate` runs prompts through it shard by
shard, so that a killed job goes on at its last finished shard and ends with the same bytes.
"""
