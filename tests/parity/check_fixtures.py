"""Checks the parity fixtures: reloads every folder with transformers and compares what it computes now.

Run it in an environment that holds tests/parity/requirements.txt:

    OMP_NUM_THREADS=1 python tests/parity/check_fixtures.py                  # every folder of tests/parity/fixtures
    OMP_NUM_THREADS=1 python tests/parity/check_fixtures.py FOLDER ...       # these folders

Logits, losses and gradients must agree within --tolerance of the largest element of each tensor. The gradients are
split into the on-disk names here by plain slicing, independently of the renaming that make_fixtures.py uses, and in
f64 the loss must change along a random direction in the weights of the file as the stored gradients say.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

from make_fixtures import in_double


def load_model(folder, dtype=torch.float32):
    """The model of a fixture folder."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
    ).train()


def split_experts(name, tensor, model_type):
    """(on-disk name, tensor) pairs for one parameter of the model."""
    if model_type == "mixtral":
        name = name.replace(".mlp.", ".block_sparse_moe.")
        gate, up, down = "w1", "w3", "w2"
    else:
        gate, up, down = "gate_proj", "up_proj", "down_proj"
    prefix, dot, last = name.rpartition(".")
    if last == "gate_up_proj" and prefix.endswith(".experts"):
        width = tensor.shape[1] // 2
        for expert in range(tensor.shape[0]):
            yield f"{prefix}.{expert}.{gate}.weight", tensor[expert, :width]
            yield f"{prefix}.{expert}.{up}.weight", tensor[expert, width:]
    elif last == "down_proj" and prefix.endswith(".experts"):
        for expert in range(tensor.shape[0]):
            yield f"{prefix}.{expert}.{down}.weight", tensor[expert]
    else:
        yield name, tensor


def compute_loss(model, expected, coefficient):
    """The fixture's loss, the logits and the balance loss (None in a dense model)."""
    is_moe = "aux_loss" in expected
    outputs = model(
        input_ids=expected["input_ids"], use_cache=False, **({"output_router_logits": True} if is_moe else {})
    )
    loss = torch.nn.functional.cross_entropy(outputs.logits[:, :-1].flatten(0, 1), expected["labels"][:, 1:].flatten())
    if is_moe:
        loss = loss + coefficient * outputs.aux_loss
    return loss, outputs.logits, outputs.aux_loss if is_moe else None


def slope_difference(folder, expected, gradients, coefficient):
    """Relative difference between a finite difference of the f64 loss and the slope from the stored gradients."""
    torch.manual_seed(1)
    weights = load_file(folder / "model.safetensors")
    direction = {name: torch.randn(weight.shape, dtype=torch.float64) for name, weight in weights.items()}
    padding = json.loads((folder / "config.json").read_text())["pad_token_id"]
    if padding is not None:  # torch gives this row of the embedding no gradient although the loss depends on it
        direction["model.embed_tokens.weight"][padding] = 0.0
    slope = sum((gradients[name].double() * direction[name]).sum() for name in weights).item()
    step = 1e-6
    losses = []
    for sign in (1, -1):
        with tempfile.TemporaryDirectory() as moved:
            moved = pathlib.Path(moved)
            save_file(
                {name: weight.double() + sign * step * direction[name] for name, weight in weights.items()},
                moved / "model.safetensors", metadata={"format": "pt"},
            )
            (moved / "config.json").write_bytes((folder / "config.json").read_bytes())
            model = load_model(moved, torch.float64)
        with in_double(), torch.no_grad():
            losses.append(compute_loss(model, expected, coefficient)[0].item())
    return abs((losses[0] - losses[1]) / (2 * step) - slope) / abs(slope)


def check(folder, tolerance):
    """The complaints about one folder."""
    complaints = []
    expected = load_file(folder / "expected.safetensors")
    gradients = load_file(folder / "gradients.safetensors")
    weights = load_file(folder / "model.safetensors")
    fixture = json.loads((folder / "fixture.json").read_text())
    adamw = fixture["adamw"]
    coefficient = fixture["router_aux_loss_coef"]

    def compare(what, value, reference):
        largest = reference.abs().max().item()
        difference = (value - reference).abs().max().item()
        if value.shape != reference.shape or difference > tolerance * largest:
            complaints.append(f"{what} differs by {difference:.2e}, its largest element is {largest:.2e}")

    model = load_model(folder)
    named = {}
    for name, parameter in model.named_parameters():  # a tied head is listed once, as the embedding
        named.update(split_experts(name, parameter, model.config.model_type))
    if named.keys() != weights.keys() or any(not torch.equal(named[name], weights[name]) for name in named):
        return [f"model.safetensors does not hold the tensors of the loaded model: {named.keys() ^ weights.keys()}"]
    if gradients.keys() != weights.keys():
        return [f"gradients.safetensors has other names: {gradients.keys() ^ weights.keys()}"]

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=adamw["lr"], betas=(adamw["beta1"], adamw["beta2"]), eps=adamw["eps"],
        weight_decay=adamw["weight_decay"],
    )
    losses = []
    for step in range(adamw["steps"]):
        optimizer.zero_grad()
        loss, logits, aux_loss = compute_loss(model, expected, coefficient)
        loss.backward()
        if step == 0:
            compare("logits", logits.detach(), expected["logits"])
            compare("loss", loss.detach().reshape(1), expected["loss"])
            if aux_loss is not None:
                compare("aux_loss", aux_loss.detach().reshape(1), expected["aux_loss"])
            for name, parameter in model.named_parameters():
                for disk_name, gradient in split_experts(name, parameter.grad, model.config.model_type):
                    compare(f"gradient of {disk_name}", gradient, gradients[disk_name])
        losses.append(loss.item())
        optimizer.step()
    for step, (loss, reference) in enumerate(zip(losses, expected["adamw_losses"].tolist(), strict=True)):
        compare(f"AdamW loss {step}", torch.tensor([loss]), torch.tensor([reference]))

    difference = slope_difference(folder, expected, gradients, coefficient)
    if difference > 1e-5:
        complaints.append(f"a finite difference of the loss is off by {difference:.1e} from the gradients")
    return complaints


def main():
    parser = argparse.ArgumentParser(description="Reloads the parity fixtures and compares.")
    parser.add_argument("folders", nargs="*", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--tolerance", type=float, default=1e-6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    fixtures = pathlib.Path(__file__).parent / "fixtures"
    folders = arguments.folders or sorted(path for path in fixtures.iterdir() if path.is_dir())
    if not folders:
        sys.exit(f"check_fixtures: no folder in {fixtures}")
    failed = 0
    for folder in folders:
        complaints = check(folder, arguments.tolerance)
        print(f"{folder.name}: {'ok' if not complaints else 'FAILED'}")
        for complaint in complaints:
            print(f"  {complaint}")
        failed += bool(complaints)
    if failed:
        sys.exit(f"check_fixtures: {failed} of {len(folders)} fixtures differ")


if __name__ == "__main__":
    main()
