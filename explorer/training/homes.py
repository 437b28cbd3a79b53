"""Where a worker keeps what extensions add: the tables of the kinds that decide what a run does."""

from explorer.design import added_measure, block, cost_measures
from explorer.host.extensions import Home, Homes
from explorer.study import data_sources, parts
from explorer.training.network import added_block

HOMES: Homes = {
    "BLOCKS": Home(block.ADDED, added_block.check),
    "SOURCES": Home(data_sources.SOURCES, data_sources.check),
    **{kind: Home(table, parts.checked(key)) for key, (kind, table, _, _) in parts.ADDED.items()},
    "MEASURES": Home(cost_measures.ADDED, added_measure.check),
}
