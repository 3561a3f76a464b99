"""The network's size by image size and time, and its files: saved, exported, refused."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from evenset.models.diffusion import network
from safetensors.torch import load_file

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers

ONE_LEVEL = dict(down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), add_attention=False)


def test_what_is_saved_draws_the_same_after_it_was_loaded(toy, tmp_path, draw):
    network.save(toy.pipeline, tmp_path / "kept")
    loaded = network.load(tmp_path / "kept", "cpu")

    assert loaded.config.names == ["dark", "bright"] and loaded.config.size_px == 12 and loaded.config.channels == 1
    np.testing.assert_array_equal(draw(loaded, [0, 1] * 5), draw(toy.pipeline, [0, 1] * 5))
    kinds = {path.suffix for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}
    np.testing.assert_array_equal(
        loaded("dark", generator=torch.Generator().manual_seed(1), output_type="np").images,
        toy.pipeline("dark", generator=torch.Generator().manual_seed(1), output_type="np").images,
    )


def test_a_folder_that_is_no_generator_is_refused(toy, tmp_path):
    expected = "holds no generator that Evenset wrote: expected model_index.json with names of classes"
    with pytest.raises(ValueError, match=f"{tmp_path.name} {expected}"):
        network.load(tmp_path)

    unet = UNet2DModel(8, 1, 1, block_out_channels=(8,), norm_num_groups=8, **ONE_LEVEL)
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path / "foreign")
    with pytest.raises(ValueError, match=expected):
        network.load(tmp_path / "foreign")

    network.save(toy.pipeline, tmp_path / "pickled")
    file = tmp_path / "pickled" / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(ValueError, match="no unet/diffusion_pytorch_model.safetensors"):
        network.load(tmp_path / "pickled")
    file.write_bytes(b"cut off")
    with pytest.raises(ValueError, match=expected):
        network.load(tmp_path / "pickled")


def test_loading_runs_no_code_of_the_folder(toy, tmp_path, draw):
    network.export(toy.pipeline, tmp_path / "kept")
    trap = "raise SystemExit('this ran')"
    for name in ("pipeline.py", "unet/trap.py", "scheduler/trap.py"):
        (tmp_path / "kept" / name).write_text(trap)
    index = json.loads((tmp_path / "kept" / "model_index.json").read_text())
    index.update(_class_name=["pipeline", "Pipeline"], unet=["trap", "Trap"], scheduler=["trap", "Trap"])
    (tmp_path / "kept" / "model_index.json").write_text(json.dumps(index))

    np.testing.assert_array_equal(draw(network.load(tmp_path / "kept"), [0, 1]), draw(toy.pipeline, [0, 1]))


@pytest.mark.slow
def test_what_is_exported_draws_without_evenset(toy, tmp_path):
    network.export(toy.pipeline, tmp_path / "exported")
    code = """
        import sys
        import numpy as np, torch
        from diffusers import DiffusionPipeline
        torch.set_num_threads(1)
        folder = sys.argv[1]
        pipeline = DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)
        assert not any(name.startswith("evenset") for name in sys.modules)
        images = pipeline(["dark", 1], generator=torch.Generator().manual_seed(3), output_type="np").images
        np.save(sys.argv[2], images)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "exported"), str(tmp_path / "drawn.npy")]
    environment = {"PATH": "", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    here = toy.pipeline(["dark", 1], generator=torch.Generator().manual_seed(3), output_type="np").images
    np.testing.assert_allclose(np.load(tmp_path / "drawn.npy"), here, atol=1e-5)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_every_size_and_time_has_a_network_whose_widths_the_groups_divide(device, monkeypatch, settings):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: device == "mps")
    for size_px in (8, 15, 28, 29, 32, 45, 64, 96, 128):
        widths = []
        for minutes in (1, 5, 60, 1000):
            found = network.choose_architecture(size_px, settings(width=None, minutes=minutes, device=device))
            assert all(width % network.NORM_GROUPS == 0 for width in found.widths) and found.layers >= 1
            assert network.MIN_AUTO_WIDTH <= found.widths[0] <= network.MAX_AUTO_WIDTH
            places = size_px / found.patch_px / 2 ** (len(found.widths) - 1)
            assert 2 <= places <= network.MAX_DEEPEST_SIDE + 1
            widths.append(found.widths[0])
        assert widths == sorted(widths)


def test_every_value_of_the_network_can_be_set(settings):
    found = network.choose_architecture(28, settings(width=20, layers=3, patch_px=4, minutes=5))
    assert found == network.Architecture(4, (24,), 3)
    pipeline = network.build(["a", "b", "c"], 3, 28, settings(width=16, layers=2, patch_px=1))
    assert pipeline.unet.config.block_out_channels == (16, 32, 32) and pipeline.unet.config.layers_per_block == 2
    assert pipeline.unet.config.in_channels == 3 and pipeline.unet.config.num_class_embeds == 4


def test_unsupported_images_are_refused(settings):
    with pytest.raises(ValueError, match="1 or 3 channels"):
        network.build(["a"], 2, 28, settings())
