"""What pyproject.toml cannot say: `checkpoints/` is installed inside the package; data files."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["physkit*"]), "physkit.checkpoints"],
    package_dir={"physkit.checkpoints": "checkpoints"},
    package_data={
        "physkit.checkpoints": ["*.toml", "*.safetensors"],
        "physkit.crossdomain": ["*.html.j2"],
        "physkit.data.folds": ["*.toml"],
        "physkit.data.readers": ["*.txt"],
        "physkit.evaluate.report": ["*.css", "*.html.j2"],
        "physkit.ops": ["*/*.cpp", "*/*.h", "*/README.md"],
    },
)
