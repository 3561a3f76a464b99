"""Inside check_dataset: problems of images, files, labels and splits, before anything is learned.

1  measure      each image once, in blocks that a resume keeps        measuring.measure_images
2  candidates   the nearest images by thumbnails and by vectors       duplicates.find
3  confirm      pairs by the correlation of their thumbnails          models.quality.near_duplicates
4  judge        measurements beyond Tukey's fences and a bound        quality.judge
5  compare      labels and splits within a group of duplicates        groups.conflicts, groups.leaks
6  write        a field, views and tags                               writing.write
"""
