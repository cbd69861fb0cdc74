"""The keys of `headrace.yaml` that describe files, as structs.

part.py    a part: strict keys, and the columns it names
values.py  values with keys of their own: times, money, pictures, joins
"""
