"""Tensors, notes and optimizers survive a file; files of others and damaged ones are refused."""

import errno

import pytest
import torch
from evenset.models import checkpoints
from safetensors.torch import save_file


def test_tensors_and_notes_come_back_and_no_part_file_stays(tmp_path):
    checkpoints.save_tensors(tmp_path / "x.safetensors", {"a": torch.arange(3), "b": torch.arange(3)}, {"names": ["ä"]})
    tensors, notes = checkpoints.load_tensors(tmp_path / "x.safetensors")

    assert torch.equal(tensors["a"], torch.arange(3)) and notes == {"names": ["ä"]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_files_of_others_and_damaged_files_are_refused_by_name(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"\x00" * 20)

    with pytest.raises(ValueError, match=r"other\.safetensors .* was not written by Evenset"):
        checkpoints.load_tensors(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"damaged\.safetensors is not a safetensors file"):
        checkpoints.load_tensors(tmp_path / "damaged.safetensors")


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
    tensors = {**checkpoints.pack_optimizer(optimizer), **layer.state_dict()}
    checkpoints.save_tensors(tmp_path / "o.safetensors", tensors, {})
    update(layer, optimizer)

    again, other = start()
    tensors, _ = checkpoints.load_tensors(tmp_path / "o.safetensors")
    again.load_state_dict({name: tensors[name] for name in again.state_dict()})
    checkpoints.unpack_optimizer(other, tensors)
    update(again, other)

    assert torch.equal(layer.weight, again.weight)


def test_a_full_disk_is_an_error_of_the_disk(tmp_path):
    from safetensors import SafetensorError

    with pytest.raises(OSError, match="generator") as caught, checkpoints.disk_errors(tmp_path / "generator"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(SafetensorError, match="header"), checkpoints.disk_errors(tmp_path):
        raise SafetensorError("the header is too large")
