"""The model registry: published versions, their weights, and the topic that announces them.

    manifest.py    the description of a version
    versions.py    weights and the index of all versions, as files
    publisher.py   the trainer's side: store, index, announce, retain
    subscriber.py  everybody else's: the versions there are, as they come

A version is a file of weights under the registry's URI, an entry of the namespace's index beside
it, and a `Manifest` on the `models` topic, written in this order: whoever reads a manifest can load
it, and whatever the topic has lost is in the index.
"""
