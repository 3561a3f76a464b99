from dataclasses import replace

import numpy as np
import pytest
import torch
from evenset.models.classifiers import resnet
from evenset.models.settings import ResNetSettings

TINY = ResNetSettings(
    weights="none", epochs=4, min_updates=1, batch_size=8, augmentation="none", precision="fp32", device="cpu"
)


def stripes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gray images of lying and of standing stripes, with noise: uint8 [N, 1, 8, 8], and their classes [N]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    lying = np.tile((np.arange(8)[:, None] % 4 < 2) * 160.0, (1, 8))
    images = np.where(labels[:, None, None] == 0, lying, lying.T) + rng.normal(40, 15, (count, 8, 8))
    return images.clip(0, 255).astype("uint8")[:, None], labels


def fresh(settings: ResNetSettings = TINY, classes: int = 2, channels: int = 1, size_px: int = 8) -> resnet.ResNet:
    return resnet.build(classes, channels, size_px, np.full(channels, 0.5), np.full(channels, 0.25), settings)


def scores(model: resnet.ResNet, images: np.ndarray) -> np.ndarray:
    return np.concatenate([s for _, s, _ in resnet.predict(model, [(np.arange(len(images)), images)], TINY)])


def parts(count: int) -> resnet.Parts:
    return resnet.Parts(np.arange(0, count * 3 // 4), np.arange(count * 3 // 4, count))


def test_it_learns_stripes_and_reports_every_epoch(tmp_path):
    images, labels = stripes(48)
    model = fresh()

    steps = list(resnet.train(model, images.__getitem__, labels, parts(48), TINY, tmp_path))
    new, truth = stripes(40, seed=1)

    assert (scores(model, new).argmax(1) == truth).mean() >= 0.95
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert steps[-1].loss < steps[0].loss
    assert len(steps[-1].recall) == 2 and set(steps[-1].metrics) == {"accuracy", "validation_loss"}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_training_that_was_cut_off_ends_with_the_same_weights(tmp_path, monkeypatch, optimizer):
    images, labels = stripes(32)
    settings = replace(TINY, optimizer=optimizer, augmentation="light", epochs=2)
    whole, cut = fresh(settings), fresh(settings)
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    monkeypatch.setattr(resnet, "SAVE_SECONDS", 0.0)

    list(resnet.train(whole, images.__getitem__, labels, parts(32), settings, tmp_path / "whole"))
    next(resnet.train(cut, images.__getitem__, labels, parts(32), settings, tmp_path / "cut"))
    rest = fresh(settings)
    steps = list(resnet.train(rest, images.__getitem__, labels, parts(32), settings, tmp_path / "cut"))

    assert [step.number for step in steps] == [1, 2]  # the last report comes again: a kill may have taken it
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True))


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(tmp_path):
    images, labels = stripes(16)

    def once(seed: int, folder) -> np.ndarray:
        folder.mkdir()
        settings = replace(TINY, epochs=1, seed=seed)
        model = fresh(settings)
        list(resnet.train(model, images.__getitem__, labels, parts(16), settings, folder))
        return scores(model, images)

    assert np.array_equal(once(0, tmp_path / "a"), once(0, tmp_path / "b"))
    assert not np.array_equal(once(0, tmp_path / "c"), once(1, tmp_path / "d"))


def test_patience_ends_a_training_that_gains_nothing_and_the_best_epoch_stays(tmp_path):
    images, labels = stripes(16)
    settings = replace(TINY, epochs=50, patience=2, learning_rate=1e-7)

    steps = list(resnet.train(fresh(settings), images.__getitem__, labels, parts(16), settings, tmp_path))

    assert len(steps) < 50


def test_the_prior_is_the_log_of_the_training_parts_frequencies(tmp_path):
    images, labels = stripes(16)
    labels = np.where(np.arange(16) < 9, 0, labels)
    model = fresh()
    list(
        resnet.train(model, images.__getitem__, labels, resnet.Parts(np.arange(12), np.arange(12, 16)), TINY, tmp_path)
    )

    shares = np.bincount(labels[:12]) / 12

    assert np.allclose(model.prior.numpy(), np.log(shares), atol=1e-6)


def test_small_images_have_a_stem_that_keeps_their_size():
    small, large = fresh(size_px=64), fresh(size_px=65)

    assert small.network.conv1.stride == (1, 1) and isinstance(small.network.maxpool, torch.nn.Identity)
    assert large.network.conv1.stride == (2, 2) and isinstance(large.network.maxpool, torch.nn.MaxPool2d)


@pytest.mark.parametrize(("architecture", "width"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)])
def test_embeddings_and_logits_have_their_shapes_for_a_thousand_classes_in_color(architecture, width):
    model = fresh(replace(TINY, architecture=architecture), classes=1000, channels=3)
    images = np.zeros((2, 3, 8, 8), dtype="uint8")

    ((_, logits, embeddings),) = resnet.predict(model, [(np.arange(2), images)], TINY)

    assert logits.shape == (2, 1000) and embeddings.shape == (2, width)


def test_a_saved_model_scores_the_same_and_carries_its_notes(tmp_path):
    images, _ = stripes(8)
    model = fresh()
    resnet.save(model, tmp_path / "model.safetensors", {"names": ["lying", "standing"]})
    again, notes = resnet.load(tmp_path / "model.safetensors")

    assert np.array_equal(scores(model, images), scores(again, images))
    assert notes["names"] == ["lying", "standing"]


def test_light_and_strong_augmentation_change_images_and_flips_come_only_where_asked():
    image = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    image[..., :4] = 255  # bright on the left
    torch.manual_seed(0)

    mirrored = resnet._augmentation(fresh(), replace(TINY, flips="horizontal"))(image.repeat(20, 1, 1, 1))
    plain = resnet._augmentation(fresh(), TINY)(image)
    strong = resnet._augmentation(fresh(), replace(TINY, augmentation="strong"))(image)

    left = (mirrored[..., 0] == 255).all(-1).squeeze(1)
    assert 0 < left.sum() < 120
    assert torch.equal(plain, image)
    assert strong.dtype == torch.uint8 and not torch.equal(strong, image)


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has it")

    with pytest.raises(ValueError, match="device 'cuda' is not available"):
        resnet.predict(fresh(), [], replace(TINY, device="cuda"))


def test_bf16_scores_are_near_those_of_fp32():
    images, _ = stripes(8)
    model = fresh()
    model.train()(torch.from_numpy(images))  # batch norms of their own, which bf16 folds away on some processors
    ((_, exact, _),) = resnet.predict(model, [(np.arange(8), images)], TINY)
    ((_, rough, _),) = resnet.predict(model, [(np.arange(8), images)], replace(TINY, precision="bf16"))

    assert not np.array_equal(exact, rough)
    assert np.allclose(exact, rough, atol=0.05 * np.abs(exact).max() + 0.02)


def test_report_is_what_scikit_learn_says():
    from sklearn.metrics import accuracy_score, log_loss, recall_score

    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 3)).astype("float32"), rng.integers(0, 3, 50)
    found = resnet.report(logits, labels)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    assert found.accuracy == accuracy_score(labels, logits.argmax(1))
    assert found.loss == pytest.approx(log_loss(labels, chances), rel=1e-5)
    assert np.allclose(found.recall, recall_score(labels, logits.argmax(1), average=None))
