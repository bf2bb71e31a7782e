"""The `cluster:` section of the specification: where blocks are computed."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from cube.options import Duration, Strict
from cube.stores.storage import plain_url

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _word(value: str) -> str:
    # These become words of a batch script, where anything else could end one and begin another.
    if not re.fullmatch(r"[A-Za-z0-9_.,:+/@%=~-]+", value):
        raise ValueError(f"one word of letters, digits and ._,:+/@%=~- is expected, found {value!r}")
    return value


def _lines(value: tuple[str, ...]) -> tuple[str, ...]:
    if any("\n" in line or line.lstrip().startswith("#SBATCH") for line in value):
        raise ValueError("each line of the prologue is one command of the shell, and no directive of Slurm")
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"(tcp|tls)://[^\s/@?#]+:\d+", value):
        raise ValueError(f"a scheduler's address is such as tls://host:8786, found {value!r}")
    return value


Word = Annotated[Text, AfterValidator(_word)]


Scratch = Annotated[
    Text | None,
    Field(
        description="folder for intermediate data, on a fast disk that every worker sees; relative to the "
        "specification. By default they are kept beside the version being built"
    ),
]
Patience = Annotated[
    Duration,
    Field(
        description="how long a build waits while it has no worker at all, before it gives up",
        examples=["1 h", "30 min"],
    ),
]


class LocalCluster(Strict):
    """Worker processes on this machine. `cluster: local` is short for `cluster: {kind: local}`."""

    kind: Literal["local"] = Field(description="where the workers run")
    workers: int | None = Field(
        None,
        ge=0,
        description="number of worker processes; by default one a processor core, or as many as the machine's memory "
        "holds of `memory`; 0 works in the command itself",
    )
    scratch: Scratch = None

    @property
    def patience(self) -> float:
        """A minute: the processes are here, or they do not start at all."""
        return 60.0


class SlurmCluster(Strict):
    """Worker processes in jobs of a Slurm cluster, which the command submits, replaces and cancels."""

    kind: Literal["slurm"] = Field(description="where the workers run")
    queue: Word | None = Field(None, description="partition; by default the site's", examples=["standard"])
    account: Word | None = Field(None, description="account that is charged; by default yours", examples=["mygws"])
    qos: Word | None = Field(None, description="quality of service; by default the account's", examples=["standard"])
    walltime: Duration = Field(
        "4 h",
        validate_default=True,
        ge=60,
        description="time limit of one job. Workers leave between 70 and 90 % of it and are replaced, so a build may "
        "take longer; one block may not",
    )
    workers: int = Field(4, ge=1, description="number of worker processes, of one core each")
    workers_per_job: int = Field(
        1, ge=1, description="worker processes in one job, which asks for so many cores and so many times `memory`"
    )
    interface: Word | None = Field(
        None,
        description="network interface that workers and scheduler speak through, on this machine and on the nodes",
        examples=["ib0"],
    )
    logs: Text = Field(
        "slurm",
        description="folder that every node sees, for the output of jobs and for the certificates of a run; relative "
        "to the specification. It is made where it is absent",
    )
    prologue: Annotated[tuple[Text, ...], AfterValidator(_lines)] = Field(
        (), description="lines of shell that a job runs before the worker starts", examples=[["module load jaspy"]]
    )
    scratch: Scratch = None
    patience: Patience = Field("1 h", validate_default=True)


class AddressCluster(Strict):
    """Workers of a Dask scheduler that runs already, each of one thread."""

    kind: Literal["address"] = Field(description="where the workers run")
    address: Annotated[Text, AfterValidator(_address)] = Field(
        description="address of the scheduler", examples=["tls://scheduler.example.org:8786"]
    )
    ca: Text | None = Field(None, description="file with the certificate of the authority, for tls addresses")
    cert: Text | None = Field(None, description="file with this client's certificate, for tls addresses")
    key: Text | None = Field(None, description="file with this client's private key, for tls addresses")
    scratch: Scratch = None
    patience: Patience = Field("1 h", validate_default=True)


class GatewayCluster(Strict):
    """Workers of a cluster that a Dask Gateway starts for the build, and ends with it."""

    kind: Literal["gateway"] = Field(description="where the workers run")
    address: Annotated[Text, AfterValidator(plain_url)] = Field(
        description="address of the gateway", examples=["https://gateway.example.org"]
    )
    auth: Literal["basic", "kerberos", "jupyterhub"] = Field(
        "basic", description="how the gateway knows you; a password or token comes from DASK_GATEWAY__AUTH__KWARGS__..."
    )
    workers: int = Field(4, ge=1, description="number of worker processes, of one core each")
    options: dict[str, str | int | float] = Field(
        default_factory=dict, description="options of the gateway's clusters, as its operator names them"
    )
    scratch: Scratch = None
    patience: Patience = Field("1 h", validate_default=True)


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


AnyCluster = Annotated[
    LocalCluster | SlurmCluster | AddressCluster | GatewayCluster,
    Field(discriminator="kind"),
]

Cluster = Annotated[
    AnyCluster,
    BeforeValidator(_kind, json_schema_input_type=Literal["local", "slurm"] | AnyCluster),
]
