"""Inside balance_classes: filtered synthetic images for small classes, added unless held-out images show a loss.

    1  plan       images that each class lacks, under a cap              plan.plan_images
    2  split      labelled images into train and held-out, whole         generator_split.split_for
                  groups of near-duplicates at a time
    3  generator  class-conditional flow matching on the train part      generator_training.train_once
                  (Lipman et al., 2023)
                  or LoRA of a pretrained model (Hu et al., 2022)        base_tuning.tune
    4  draw       missing images / acceptance rate, within a limit       rejection_sampling.how_many_to_draw_next
                  with classifier-free guidance (Ho and Salimans, 2022)  image_sources.generated_images
                  or from real images at full size (Meng et al., 2022)   tuned_images.tuned_images
                  or real images, augmented                              image_sources.augmented_images
    5  filter     small CNN and GCN on the train part                    image_filter.ImageFilter
                  limits: quantiles of held-out images, of the distance  models.quality.image_filters.fit
                  to the prototype (Snell et al., 2017) and of
                  probabilities
                  copies: distance to the nearest training image,        models.quality.copies.limits
                  relative to that of its neighbours
                  at full size: shared fine detail, with those near by   models.quality.shared_detail.shared_detail
                  pixels and by an encoder's vectors                     copy_candidates.CopyCandidates
                  text: cosine similarity to the class's prompt          text_scores.TextScores
                  (Hessel et al., 2021)
    6  verdict    small CNN, or regression on an encoder's vectors,      judges.choose
                  with and without the images: gain in balanced          benefit.measure
                  accuracy over the best rival, paired                   models.quality.paired_gain.judge
    7  add        unless the mean gain is negative (setting `add`), or   soundness.should_add
                  undecided and the filters reject most images
                  as tagged samples with their origin                    data.synthetic.add

Steps 4 and 5 repeat until the plan is filled, or no draw is left        rejection_sampling.sample
"""
