"""Inside export_dataset: images and labels in a folder that other programs read.

1  select     samples or boxes whose label is of the wanted kinds, and split  selection.select
2  name       files and class folders, distinct on every file system          formats.plan
3  copy       images that can be read                                         images.copy_images
4  write      labels in the format, by FiftyOne's exporters                   labels.write
5  describe   labels.csv and README.md                                        manifest.write, model_card.write
6  rename     the finished folder to its name                                 data.export_folders.finish
"""
