"""What runs the work of a preparation, by name."""

from physkit.core.registry import Registry

ENGINES = Registry(
    "engine",
    {
        "local": "physkit.pipelines.prepare.engines.local:run_local",
        "serial": "physkit.pipelines.prepare.engines.serial:run_serial",
        "ray": "physkit.pipelines.prepare.engines.on_ray:run_on_ray",
    },
    extras={"ray": "ray"},
)
