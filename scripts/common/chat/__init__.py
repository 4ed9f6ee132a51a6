"""What a chat is, in three modules that import nothing costly.

`thinking`   tags of a thinking block, and texts without it: curation, verification, data sets
`templates`  prompts put into a wording from the configuration: sampling, judging, evaluation
`rendering`  a tokenizer, and chats as the text and token ids that a model reads: generation, training

They are apart because an import is identity: another rule for unclosed thinking blocks changes verdicts and samples
nothing again, and another rendering samples and trains again but curates nothing.
"""
