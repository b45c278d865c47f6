"""Empty nets of pandapower whose tables are made once a process: it makes a hundred of them for each net, cell by cell.

That took a twelfth of the processor time of all tests, and more than half of the time of reading a published net.
"""

from typing import Any

import pandas as pd
from pandapower.auxiliary import pandapowerNet


def made_once() -> None:
    """Let pandapower copy the empty tables that it has made before."""
    make = pandapowerNet.create_dataframes
    tables: dict[str, pd.DataFrame] = {}

    def create_dataframes(data: dict[str, Any]) -> dict[str, Any]:
        for name, columns in data.items():
            if isinstance(columns, dict):
                if (key := repr(columns)) not in tables:
                    tables[key] = make({name: columns})[name]
                data[name] = tables[key].copy()
        return data

    pandapowerNet.create_dataframes = staticmethod(create_dataframes)
