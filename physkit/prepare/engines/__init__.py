"""Engines that run the tasks of a preparation, by name."""

from physkit.core.registry import Registry

ENGINES = Registry(
    "engine",
    {
        "local": "physkit.prepare.engines.local:run_local",
        "serial": "physkit.prepare.engines.local:run_serial",
        "ray": "physkit.prepare.engines.on_ray:run_on_ray",
    },
    extras={"ray": "ray"},
)
