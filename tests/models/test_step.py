import errno
import time

import pytest
import torch
from evenset.models import step
from safetensors.torch import save_file


def test_the_faster_precision_is_chosen_only_where_it_pays(monkeypatch):
    def run(seconds: dict[str, float]):
        return lambda precision: time.sleep(seconds[precision])

    monkeypatch.setattr(step, "multiplies_bf16", lambda device: device == "new")
    assert step.faster_precision(run({"fp32": 0.03, "bf16": 0.01}), "new") == "bf16"
    assert step.faster_precision(run({"fp32": 0.03, "bf16": 0.03}), "new") == "fp32"
    assert step.faster_precision(lambda _: pytest.fail("timed"), "old") == "fp32"


def test_tensors_and_notes_come_back_and_no_part_file_stays(tmp_path):
    step.save_tensors(tmp_path / "x.safetensors", {"a": torch.arange(3), "b": torch.arange(3)}, {"names": ["ä"]})
    tensors, notes = step.load_tensors(tmp_path / "x.safetensors")

    assert torch.equal(tensors["a"], torch.arange(3)) and notes == {"names": ["ä"]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_files_of_others_and_damaged_files_are_refused_by_name(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"\x00" * 20)

    with pytest.raises(ValueError, match=r"other\.safetensors .* was not written by Evenset"):
        step.load_tensors(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"damaged\.safetensors is not a safetensors file"):
        step.load_tensors(tmp_path / "damaged.safetensors")


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_an_optimizer_goes_on_as_if_it_had_not_been_saved(tmp_path, kind):
    def start():
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        return layer, kind(layer.parameters(), lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {}))

    def update(layer, optimizer):
        optimizer.zero_grad()
        layer(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()

    layer, optimizer = start()
    update(layer, optimizer)
    step.save_tensors(tmp_path / "o.safetensors", {**step.pack_optimizer(optimizer), **layer.state_dict()}, {})
    update(layer, optimizer)

    again, other = start()
    tensors, _ = step.load_tensors(tmp_path / "o.safetensors")
    again.load_state_dict({name: tensors[name] for name in again.state_dict()})
    step.unpack_optimizer(other, tensors)
    update(again, other)

    assert torch.equal(layer.weight, again.weight)


def test_the_precision_can_change_from_one_run_to_the_next_in_a_process():
    assert step.accelerator("cpu", "bf16").mixed_precision == "bf16"
    assert step.accelerator("cpu", "fp32").mixed_precision == "no"


def test_a_full_disk_is_an_error_of_the_disk(tmp_path):
    from safetensors import SafetensorError

    with pytest.raises(OSError, match="generator") as caught, step.disk_errors(tmp_path / "generator"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(SafetensorError, match="header"), step.disk_errors(tmp_path):
        raise SafetensorError("the header is too large")
