"""Packed rows: one entity and view is one value in Redis, read and written as columns.

    schema.py      which columns a row has, and where they lie in its bytes
    row.py         rows as bytes, and N rows of bytes as columns
    cell.py        texts, bytes and sequences as bytes
    keys.py        the keys of a view's rows
    rows.py        what was read, as columns, whatever schemas it was written under
    columns.py     many entities' rows as arrays, for the online store
    connection.py  where the Redis is: one server, a cluster, sentinels
    last_items.py  users' last items: lists beside the rows
    seen_sketch.py  fingerprints of what users were shown before those
    round_trip.py  rows out of Redis and into it, on one server or a cluster

A key reads like a path and is the same for people, Feast and the stream workers:

    headrace/user_activity/user_id=196         a row: project / view / join keys and their values
    headrace/user_activity                     a hash: the schemas that the view's rows have had
    headrace/user_shown/user_id=196            a list of a user's last items
    headrace/user_seen/user_id=196             a sketch of what he was shown before

Several join keys are sorted and joined by commas. Names are percent-encoded, and so are `%` and `,`
in the values where there are several join keys; a single value is as it is.

A row is little-endian, and everything before the variable block has the same size in all rows of a
schema, so that N rows are one numpy array:

    schema      uint64    hash of the names and types of the columns, in their order
    event time  int64     microseconds since the epoch
    position    int64     position in the event log that the row includes, -1 if from elsewhere
    partition   int32     partition of that log, -1 likewise
    present     bits      one per column: 0 is a null
    numbers     arrays    one per numpy type: all float32 columns, all int64 columns, ...
    ends        uint32    where each cell of the variable block ends, counted from its beginning
    cells       bytes     strings, bytes and sequences
"""
