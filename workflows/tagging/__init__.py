"""Inside auto_label and find_mistakes, where a field holds tags: one yes/no question a class, on the same vectors.

 1  describe     all images by the user's vectors, or by label-free      vectors.describe
                 features
 2  partition    samples into train and held-out, or into folds,         partition.hold_out, partition.draw_folds
                 stratified over tags (Sechidis et al., 2011)
 3  score        each class by the members on the graph of all samples,  scores.score
                 cross-fitted; with `complete=False` by positive-
                 unlabelled weights (Elkan & Noto, 2008)

auto_label:
 4  calibrate    confidence of each class (Platt, 1999)                  decision.decide
 5  accept       additions of each class above the lowest threshold      models.confidence.threshold
                 that keeps the target precision of that class (Learn
                 then Test), on samples without any tags; all else is
                 for review

find_mistakes:
 4  relate       each tag by the others of its sample (stacking:         models.classifiers.tag_dependence
                 Godbole & Sarawagi, 2004)
 5  posterior    of each tag, given image and label                      models.quality.label_errors
 6  flag         likely missing or extra tags, and explain them          verdict.judge
"""
