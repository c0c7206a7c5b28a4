"""All checks, in the order in which one thing rests on another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from . import cuda, devices, front_end, kernels, models, packages, processor
from .check import Check, checked

SCHEMA_VERSION = 1

SECTIONS = (
    (packages.SECTION, packages.check_packages, packages.WAY_OUT),
    (processor.SECTION, processor.check_processor, packages.WAY_OUT),
    (cuda.SECTION, cuda.check_cuda, cuda.WAY_OUT),  # before what fills the cache that it looks at
    (kernels.SECTION, kernels.check_kernels, kernels.WAY_OUT),
    (kernels.SECTION, kernels.check_cache, kernels.WAY_OUT),
    (devices.SECTION, devices.check_devices, "use --device cpu, and please report it with this output"),
    (devices.SECTION, devices.check_precision, "use --precision fp32, and please report it with this output"),
    (front_end.SECTION, front_end.check_features, front_end.WAY_OUT),
    (models.SECTION, models.check_models, models.WAY_OUT),
    (models.SECTION, models.check_bundled_model, models.WAY_OUT),
)


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at.

    Attributes
    ----------
    checks : tuple of Check
        In order.
    """

    checks: tuple[Check, ...]

    @property
    def failed(self) -> list[Check]:
        """What is not as it should be."""
        return [check for check in self.checks if check.ok is False]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "ok": not self.failed,
            "checks": [asdict(check) for check in self.checks],
        }


def doctor() -> Diagnosis:
    """Look at everything that arwkv needs and chooses on this machine; takes some seconds.

    Returns
    -------
    Diagnosis
        Its ``failed`` checks say the way out.
    """
    found: list[Check] = []
    for title, section, way_out in SECTIONS:
        found += checked(title, section, way_out)
    return Diagnosis(tuple(found))
