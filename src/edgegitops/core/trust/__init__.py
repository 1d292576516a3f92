"""What signed Git content is believed.

`walk.walk` judges the chain to a tip, `root.trust_state` says which root is in force in a tree, and
`listing.list_manifests` which files a revision gives to the reader of manifests.
"""
