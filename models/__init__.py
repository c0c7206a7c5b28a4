"""The zoo: a folder a model, with its config, weights, labels and card, and the code that lists them.

Bundled models lie in this package. Those that users add lie in their own data folder, see `user_folder`.
"""

from .adding import add, bare_card, check_form, check_name
from .places import BUNDLED_FOLDER, user_folder
from .zoo import ZooModel, find, list_models, locate

__all__ = [
    "BUNDLED_FOLDER",
    "ZooModel",
    "add",
    "bare_card",
    "check_form",
    "check_name",
    "find",
    "list_models",
    "locate",
    "user_folder",
]
