"""The mean of the weights of models of one shape, that were trained on from one another, as a model folder.

    python benchmarks/mean_model.py MODEL MODEL [...] --output FOLDER [--shares 0.5 0.5]

Of what a training on found, the mean with the weights that it went on from keeps what helps both (Wortsman et al.,
"Robust fine-tuning of zero-shot models", 2022). Settings, labels and card are those of the first model; its metrics
are left out, since they are about other weights.
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from arwkv_core.checkpoint import load_model, save_model_folder


def main() -> None:
    """Write the mean."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or folders")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shares", type=float, nargs="+", help="of each model; equal by default")
    options = parser.parse_args()
    shares = options.shares or [1 / len(options.models)] * len(options.models)
    if len(shares) != len(options.models) or abs(sum(shares) - 1) > 1e-6:
        parser.error("--shares: expected one a model, that add up to 1")
    cpu = torch.device("cpu")
    network, config, labels = load_model(options.models[0], cpu)
    mean = {name: shares[0] * value.float() for name, value in network.state_dict().items()}
    for model, share in zip(options.models[1:], shares[1:], strict=True):
        other, other_config, other_labels = load_model(model, cpu)
        if other_config.architecture != config.architecture or other_labels.mids != labels.mids:
            parser.error(f"{model}: expected the shape and classes of {options.models[0]}")
        for name, value in other.state_dict().items():
            mean[name] += share * value.float()
    network.load_state_dict(mean)
    card = f"# {config.name}\n\nThe mean of the weights of {', '.join(options.models)}.\n"
    save_model_folder(
        options.output, network, dataclasses.replace(config, metrics={}), labels, card, overwrite=False
    )


if __name__ == "__main__":
    main()
