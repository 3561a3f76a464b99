"""Inside split_dataset: tags for training, validation and test, without leaks between them.

1  group      near-duplicates, same files, and values of the group field             similarity.group
2  place      labelled real samples, stratified, in whole groups                     models.dataset_split.partition
3  synthetic  to training where their source is; without a tag elsewhere             assignment.assign
4  tag        with a list of what was tagged, for the undo                           data.sample_tags.add
"""
