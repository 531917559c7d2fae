"""Readers of raw data sets by name; each also writes its layout for synthetic recordings."""

from physkit.core.registry import Registry

READERS = Registry(
    "data set",
    {
        "ubfc": "physkit.data.readers.ubfc:UbfcReader",
        "ubfc-set1": "physkit.data.readers.ubfc:UbfcSet1Reader",
        "pure": "physkit.data.readers.pure:PureReader",
        "mmpd": "physkit.data.readers.mmpd:MmpdReader",
        "buaa-mihr": "physkit.data.readers.buaa_mihr:BuaaMihrReader",
        "ibvp": "physkit.data.readers.ibvp:IbvpReader",
        "scamps": "physkit.data.readers.scamps:ScampsReader",
        "ubfc-phys": "physkit.data.readers.ubfc_phys:UbfcPhysReader",
        "cohface": "physkit.data.readers.cohface:CohfaceReader",
    },
)
