"""Sound encoders trained from scratch and judged over the folds of a file of labelled clips.

command.py  the flag of headrace evaluate, and its answer
clips.py    the file: clips as spectrograms, with labels, folds and ids
run.py      each fold in turn is the test of encoders trained on the others
"""
