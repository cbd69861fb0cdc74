"""A user's files, read as chunks of Arrow columns.

open.py        the files that a mapping names, each with its layout
layout.py      kind, compression and dialect of a file
chunk.py       some rows, by column
joins.py       columns of further files, found by a key
text.py        delimited text
quotes.py      where a block of text may be cut, and who may read it
stream.py      bytes of a text, decompressed and as UTF-8
json_lines.py  JSON lines
parquet.py     Parquet
typed.py       the many types of Arrow as few
"""
