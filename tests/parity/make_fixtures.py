"""Writes the parity fixtures: tiny random models with what transformers computes for them.

Run it from the repository root in an environment that holds tests/parity/requirements.txt:

    OMP_NUM_THREADS=1 python tests/parity/make_fixtures.py                    # every model of settings.py
    OMP_NUM_THREADS=1 python tests/parity/make_fixtures.py mixtral-gqa ...    # only these
    OMP_NUM_THREADS=1 python tests/parity/make_fixtures.py --search NAME ...  # look for a seed, write nothing

Each folder tests/parity/fixtures/NAME/ gets

    config.json, model.safetensors   as save_pretrained writes them, f32
    gradients.safetensors            the gradient of the loss for every tensor of model.safetensors
    expected.safetensors             input_ids, labels, logits, loss, aux_loss (MoE only), adamw_losses
    fixture.json                     where it comes from, seed, balance loss coefficient, AdamW settings

The loss is the mean cross-entropy over the counted targets plus router_aux_loss_coef * aux_loss. A model is refused
when transformers' numbers cannot serve as a reference: see `problems`.
"""

import argparse
import contextlib
import copy
import json
import pathlib
import shutil
import sys

import safetensors.torch
import torch
import transformers
from transformers.core_model_loading import revert_weight_conversion
from transformers.modeling_utils import remove_tied_weights_from_state_dict

from settings import SETTINGS

PINNED = {"torch": "2.15.0", "transformers": "5.23.0"}

STEPS = 5
SIZE_LIMIT = 300_000  # bytes in one folder
LEAST_MARGIN = 1e-4  # between the router probabilities of the k-th and the next expert
MOST_NOISE = 2e-6  # transformers' own f32 rounding, relative to the largest element; the parity test allows 1e-5
INITIALIZER_RANGE = 0.15
EMBEDDING_RANGE = 0.4  # larger, so that tokens differ and take different experts


def check_versions():
    """Refuses to run with other versions than the pinned ones."""
    found = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    print("versions:", ", ".join(f"{name} {version}" for name, version in found.items()))
    if found != PINNED:
        wanted = ", ".join(f"{name} {version}" for name, version in PINNED.items())
        sys.exit(f"make_fixtures: the fixtures are made with {wanted}; install tests/parity/requirements.txt")


def make_model(setting, seed):
    """A randomly initialised model in which no norm weight is 1, no bias 0 and no embedding small."""
    torch.manual_seed(seed)
    model_class = getattr(transformers, setting["model"])
    config = model_class.config_class(initializer_range=INITIALIZER_RANGE, **setting["config"])
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = model_class(config).float().train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.2)
            elif "norm" in name:
                parameter.normal_(1.0, 0.25)
            elif "embed_tokens" in name:  # the row of the padding token too, which transformers sets to zero
                parameter.normal_(0.0, EMBEDDING_RANGE)
    return model


def make_batch(setting, seed):
    """Input ids and labels; some labels are -100 (not counted)."""
    generator = torch.Generator().manual_seed(seed + 1000)
    shape = (setting["batch"], setting["length"])
    vocabulary = setting["config"]["vocab_size"]
    input_ids = torch.randint(0, vocabulary, shape, generator=generator)
    if "always" in setting:
        input_ids[:, 2] = setting["always"]
        input_ids[0, -1] = setting["always"]
    if setting.get("labels") == "random":
        labels = torch.randint(0, vocabulary, shape, generator=generator)
    else:
        labels = input_ids.clone()
    dropped = torch.rand(shape, generator=generator) < setting.get("ignored", 0.2)
    if "ignored_sequence" in setting:
        dropped[setting["ignored_sequence"]] = True
    labels[dropped] = -100
    return input_ids, labels


@contextlib.contextmanager
def in_double():
    """Lets transformers compute in f64 throughout: its explicit casts to f32 become casts to f64."""
    kept = torch.float32, torch.float, torch.Tensor.float
    torch.float32, torch.float, torch.Tensor.float = torch.float64, torch.float64, torch.Tensor.double
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept


@contextlib.contextmanager
def recorded_routers(model):
    """Collects the raw logits of every router, layer by layer, in forward order."""
    logits = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: logits.append(output[0].detach().double()))
        for module in model.modules()
        if type(module).__name__.endswith("TopKRouter")
    ]
    try:
        yield logits
    finally:
        for hook in hooks:
            hook.remove()


def forward(model, input_ids, labels):
    """The model's outputs, and the raw router logits of each routing layer."""
    is_moe = hasattr(model.config, "router_aux_loss_coef")
    options = {"output_router_logits": True} if is_moe else {}
    with recorded_routers(model) as router_logits:
        outputs = model(input_ids=input_ids, labels=labels, use_cache=False, **options)
    return outputs, router_logits


def balance_loss(router_logits, top_k):
    """The balance loss as the format document states it, from the raw router logits."""
    probabilities = torch.cat(router_logits).softmax(-1)  # every layer and token in one pool
    chosen = torch.zeros_like(probabilities).scatter_(1, probabilities.topk(top_k).indices, 1.0)
    return probabilities.shape[1] * (chosen.mean(0) * probabilities.mean(0)).sum()


def smallest_margin(router_logits, top_k):
    """The smallest gap between the probabilities of the k-th and the next expert."""
    probabilities = torch.cat(router_logits).softmax(-1).sort(-1, descending=True).values
    return (probabilities[:, top_k - 1] - probabilities[:, top_k]).min().item()


def on_disk(model, tensors):
    """Tensors under the model's own names, renamed and split as save_pretrained would write them."""
    tensors = remove_tied_weights_from_state_dict(dict(tensors), model)
    tensors = revert_weight_conversion(model, tensors)
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def gradients_of(model):
    """The gradient of every parameter under its own name; a tied head shows up under both of its names."""
    gradients = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if parameter.grad is None:
            raise ValueError(f"{name} takes no part in the loss")
        gradients[name] = parameter.grad
    return gradients


def compute(model, batch, adamw):
    """Everything that a fixture expects, and how close the routing came to a tie. Leaves the model trained."""
    input_ids, labels = batch
    config = model.config
    top_k = getattr(config, "num_experts_per_tok", None)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=adamw["lr"], betas=(adamw["beta1"], adamw["beta2"]), eps=adamw["eps"],
        weight_decay=adamw["weight_decay"], foreach=False,
    )
    result = {"adamw_losses": [], "margin": float("inf")}
    for step in range(STEPS):
        optimizer.zero_grad()
        outputs, router_logits = forward(model, input_ids, labels)
        outputs.loss.backward()
        if router_logits:
            result["margin"] = min(result["margin"], smallest_margin(router_logits, top_k))
        if step == 0:
            result["gradients"] = on_disk(model, gradients_of(model))
            result["values"] = {"logits": outputs.logits.detach().clone(), "loss": outputs.loss.detach().reshape(1)}
            if router_logits:
                result["values"]["aux_loss"] = outputs.aux_loss.detach().reshape(1)
                result["balance"] = balance_loss(router_logits, top_k).item()
        result["adamw_losses"].append(outputs.loss.item())
        optimizer.step()
    return result


def relative_difference(value, reference):
    """max |value - reference| / max |reference|; 0 when both are zero throughout."""
    largest = reference.abs().max().item()
    difference = (value.double() - reference.double()).abs().max().item()
    if largest == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / largest


def noise_of(result, exact):
    """The largest relative f32 rounding error over all expected values, with the name of the value it is in."""
    differences = {name: relative_difference(result["values"][name], exact["values"][name]) for name in exact["values"]}
    for name, gradient in exact["gradients"].items():
        differences[f"gradient of {name}"] = relative_difference(result["gradients"][name], gradient)
    for step, (value, reference) in enumerate(zip(result["adamw_losses"], exact["adamw_losses"])):
        differences[f"AdamW loss {step}"] = abs(value - reference) / abs(reference)
    worst = max(differences, key=differences.get)
    return differences[worst], worst


def problems(result, exact, reserve=1.0):
    """Why these numbers cannot serve as a reference; empty when they can. A reserve above 1 asks for more."""
    found = []
    if result["margin"] < LEAST_MARGIN * reserve:
        found.append(f"two experts are nearly tied, the gap is {result['margin']:.1e}")
    noise, where = noise_of(result, exact)
    if noise > MOST_NOISE / reserve:
        found.append(f"f32 rounding is {noise:.1e} of the largest element in {where}")
    if "balance" in result:
        balance = torch.tensor([result["balance"]], dtype=torch.float64)
        if relative_difference(result["values"]["aux_loss"], balance) > 1e-6:
            found.append("transformers' balance loss is not the one of the format document")
    return found


def run(setting, seed):
    """The model as initialised, its batch, and the numbers in f32 and f64."""
    model = make_model(setting, seed)
    batch = make_batch(setting, seed)
    result = compute(copy.deepcopy(model), batch, setting["adamw"])
    with in_double():
        exact = compute(copy.deepcopy(model).double(), batch, setting["adamw"])
    return model, batch, result, exact


def search(name, setting, tries=500):
    """The first seed that has no problems, with a reserve for the rounding of other CPUs; prints it."""
    for seed in range(tries):
        _, _, result, exact = run(setting, seed)
        found = problems(result, exact, reserve=1.4)
        if not found:
            noise, where = noise_of(result, exact)
            print(f"{name}: seed {seed}, margin {result['margin']:.1e}, noise {noise:.1e} in {where}")
            return
        print(f"{name}: seed {seed} no good: {'; '.join(found)}")
    sys.exit(f"make_fixtures: no seed below {tries} suits {name}")


def write(name, setting, root):
    """Computes one fixture and writes its folder."""
    model, (input_ids, labels), result, exact = run(setting, setting["seed"])
    found = problems(result, exact)
    if found:
        sys.exit(f"make_fixtures: {name}: {'; '.join(found)}; try --search {name}")

    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)  # not part of a fixture

    # The weights sent through the same renaming and splitting as the gradients must be the saved file, bit for bit.
    saved = safetensors.torch.load_file(folder / "model.safetensors")
    mapped = on_disk(model, model.state_dict())
    if saved.keys() != mapped.keys() or any(not torch.equal(saved[key], mapped[key]) for key in saved):
        sys.exit(f"make_fixtures: {name}: the gradient names do not follow model.safetensors")
    gradients = result["gradients"]
    if {key: value.shape for key, value in gradients.items()} != {key: value.shape for key, value in saved.items()}:
        sys.exit(f"make_fixtures: {name}: the gradients do not have the names and shapes of model.safetensors")
    idle = sorted(key for key, value in gradients.items() if not value.any())
    if any("experts." not in key for key in idle):
        sys.exit(f"make_fixtures: {name}: a gradient is zero throughout: {idle}")

    safetensors.torch.save_file(gradients, folder / "gradients.safetensors", metadata={"format": "pt"})
    expected = {
        "input_ids": input_ids,
        "labels": labels,
        "adamw_losses": torch.tensor(result["adamw_losses"], dtype=torch.float32),
        **result["values"],
    }
    safetensors.torch.save_file(expected, folder / "expected.safetensors", metadata={"format": "pt"})
    description = {
        "source": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, "
                  f"{setting['model']}, random weights, f32 on CPU, eager attention and experts",
        "covers": setting["covers"],
        "seed": setting["seed"],
        "router_aux_loss_coef": setting["config"].get("router_aux_loss_coef", 0.0),
        "adamw": {**setting["adamw"], "steps": STEPS, "clip": 0.0},
    }
    (folder / "fixture.json").write_text(json.dumps(description, indent=2) + "\n")

    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > SIZE_LIMIT:
        sys.exit(f"make_fixtures: {name}: {size} bytes, more than {SIZE_LIMIT}")
    noise, where = noise_of(result, exact)
    losses = " ".join(f"{loss:.4f}" for loss in result["adamw_losses"])
    print(f"{name}: {size / 1000:.0f} kB, losses {losses}, margin {result['margin']:.1e}, "
          f"noise {noise:.1e} in {where}, {len(idle)} zero gradients")


def main():
    parser = argparse.ArgumentParser(description="Writes the parity fixtures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="models of settings.py; all when none is given")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "fixtures",
                        help="folder that gets one folder per model")
    parser.add_argument("--search", action="store_true", help="look for usable seeds instead of writing")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in SETTINGS:
            sys.exit(f"make_fixtures: settings.py has no {name}; it has {', '.join(SETTINGS)}")

    check_versions()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in arguments.names or SETTINGS:
        if arguments.search:
            search(name, SETTINGS[name])
        else:
            write(name, SETTINGS[name], arguments.output)


if __name__ == "__main__":
    main()
