"""Inside find_mistakes: the mistakenness of every label, judged by models that have not seen it.

 1  describe     all images by label-free features,                  training.image_features.extract_features
                 or all samples by the user's vectors                training.embedding_source.read_or_compute
 2  folds        stratified; near-duplicates and groups in one fold  folds.draw
 3  predict      each fold by tuned regressions and label            planting.predict
                 propagation on the graph of all samples;
                 on images also by a ResNet trained on the others,   fold_models.train_networks
                 averaged with its mean over epochs
 4  graph        k nearest neighbours of each sample                 models.graphs.nearest_neighbours.build
 5  average      with many labels, over the neighbours' predictions  models.quality.label_errors.average
 6  noise        transition matrix from sure predictions             models.quality.label_errors.noise_transition_matrix
                 (anchor points, Patrini et al., 2017)
                 or, with few labels, the likeliest noise models     models.quality.label_errors.mixture_posterior
 7  posterior    of each class, given image and label (Bayes' rule)  models.quality.label_errors.posterior
 8  score        mistakenness: 1 - posterior of the label            models.quality.label_errors.mistakenness
 9  contradict   near-duplicates with different labels               models.quality.label_neighbours.contradictions
    plant        known errors among few labels: they choose          models.quality.planted_errors.choose
                 the score, and calibrate it                         calibration.calibrate
10  flag         the highest scores: as many as confident learning   models.quality.label_errors.flag
                 counts (Northcutt et al., 2021) or the posterior
                 expects; none that a person dismissed before        dismissed.find_dismissed
    boxes        doubled, outside the image, of an unusual shape     box_flags.judge_boxes
                 or place for their class
    detector     matched with its predictions by FiftyOne's          matching.match
                 evaluation: their classes, before step 8;           detector.with_classes
                 missing, spurious and moved boxes (positive and     detector_flags.find
                 unlabelled learning, Elkan and Noto, 2008)
11  suggest      the class of the highest posterior                  models.quality.label_errors.suggest
12  explain      by duplicates, neighbours and model                 verdict.reasons
"""
