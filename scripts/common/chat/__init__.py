"""Chats, in three modules without slow imports.

`thinking`   the tags of a thinking block, and texts without it; used by curation, verification and data sets
`templates`  prompt templates of the configuration; used by sampling, judging and evaluation
`rendering`  the tokenizer, and chats as text and token ids; used by generation and training

They are separate because an import is identity: a new rule for unclosed thinking blocks changes verdicts but reruns no
sampling, and a new rendering reruns sampling and training but no curation.
"""
