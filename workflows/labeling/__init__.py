"""Inside auto_label: a label for every sample, accepted where a bound keeps its precision at the target.

     1  survey     size and statistics of the labelled images; near-       training.image_survey.survey_images
                   duplicates share a group
     2  partition  labelled samples into train, validation and held-out    training.partition.split_parts
     3  describe   all images by label-free features,                      training.image_features.extract_features
                   or all samples by the user's vectors                    training.embedding_source.read_or_compute
     4  graph      k nearest neighbours of each sample                     training.graph_views.build_views
     5  spread     the train labels by several members: tuned regression,  training.label_spreading.spread_labels
                   SGC (Wu et al., 2019), GCN (Kipf and Welling, 2017),
                   label propagation (Zhou et al., 2004), with
                   cross-fitted weights
     6  train      a ResNet on the train split, and again with certain     training.ensemble.self_train
                   pseudo-labels (Iscen et al., 2019)
     7  combine    members and ResNet, weighted on the validation split    training.ensemble.add_resnet
     8  predict    classes, under the prior of labels or unlabelled samples  decision.predict
                   (Saerens et al., 2002)
     9  score      predictions by members and neighbours, weighted on the  decision.acceptance_scores
                   validation split
    10  reject     outliers beyond Tukey's fence (1977)                    decision.find_outliers
    11  calibrate  confidences on the held-out split (Platt, 1999)         models.confidence.calibration.fit
    12  accept     above the lowest thresholds whose exact bounds on the   acceptance.accept
                   held-out split keep the target precision (Learn then
                   Test, Angelopoulos et al., 2021), from the threshold    models.confidence.power.choose_start
                   of most expected acceptance on
    13  refit      the members on all labels, for what goes to review      training.label_spreading.refit

With a text-image encoder, the names of the classes are a member of 5       training.zero_shot.encode
(Radford et al., 2021); without labels they predict alone                  predictions.from_names

`members` leaves out 3 to 5 and 7 ("resnet"), or 6 and 7 ("graph"). Vectors leave out 1, 6 and 7, and the validation
split; vectors that "auto" chose only where labels are few               training.auto_embeddings.fine_tunes
With `run`, an earlier run's model takes the place of 1 to 7             checkpoint.from_checkpoint
"""
