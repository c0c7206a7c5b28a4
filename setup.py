"""Find the packages; everything else about the distribution stands in ``pyproject.toml``.

``kernels/`` and ``models/`` are imported as ``arwkv_kernels`` and ``arwkv_models``. Setuptools' own search
can't rename what it finds, and a list kept by hand forgets new subpackages: so both are done here.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "arwkv_cli": "arwkv_cli",
    "arwkv_core": "arwkv_core",
    "arwkv_kernels": "kernels",
    "arwkv_models": "models",
}

setup(
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in (package, *(f"{package}.{inner}" for inner in find_packages(folder)))
    ],
    package_dir=FOLDERS,
)
