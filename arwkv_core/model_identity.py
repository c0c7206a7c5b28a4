"""Which model an option means, without loading it."""

from pathlib import Path
from typing import Any

from .calibration import Calibration
from .model_config import CONFIG_FILE, ModelConfig, file_sha256


def model_identity(name_or_path: str | Path) -> dict[str, Any]:
    """Tell which model it is.

    Returns
    -------
    dict
        ``name``, ``weights_sha256``, ``calibration`` (its digest, or None), and as ``option`` what it is called, from
        any folder.

    Raises
    ------
    ModelNotFound, ConfigError
        If there is no such model, or its folder can't be read.
    """
    import arwkv_models  # here, since the zoo imports this package

    place = arwkv_models.locate(name_or_path)
    if place.is_dir():
        config = ModelConfig.read(place / CONFIG_FILE)
        name, sha256 = config.name, config.weights_sha256
    else:
        name, sha256 = place.stem, file_sha256(place)
    calibration = Calibration.of_folder(place if place.is_dir() else None)
    is_path = Path(name_or_path).expanduser() == place
    return {
        "name": name,
        "weights_sha256": sha256,
        "calibration": None if calibration is None else calibration.digest,
        "option": str(place.absolute() if is_path else name_or_path),
    }
