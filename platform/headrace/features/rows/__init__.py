"""State rows: encoded, merged over partitions, bounded, and carried over to a new table.

sample_intake.py    messages as samples that can be trained on
numbers_message.py  rows on their topic: the numbers of entities as of their last event
state_row.py        rows: an entity's state and the position that it includes, as bytes
schemas.py          rows of an earlier feature table, as rows of this one
namespace_actions.py  the actions whose bits they hold, remembered
messages/           rows of merged entities on their topics
partial_rows.py     partial states of them, by partition
bounds.py           how much of memory goes to ids that nobody announced
merged_table.py     partial states of the partitions, and merged ones
merged.py           items, categories and campaigns, merged over partitions
groups.py           the states of items' categories and authors
item_columns.py     keys, slots and groups of the items met, in columns
user_table.py       the rows of the users met lately, in memory
"""
