"""The bill of materials of a wheel: what is in it that this project did not write (CycloneDX 1.6, PEP 770).

It names what is compiled in. What is installed beside it stands in the wheel's metadata, and what a repair
would graft (nothing: the extensions need libc alone) auditwheel writes down itself. Nothing in it depends on
when and where it was built, so that two builds are the same bytes.
"""

import json
import uuid
from pathlib import Path

#: what a wheel carries under ``.dist-info/sboms/``
NAME = "perfcore.cdx.json"
#: a name space of this file's own: the number of a bill follows from what is in it
SPACE = uuid.UUID("5f6b4a53-2f9d-5d0e-9d6c-6c2c7f1d8a10")
APACHE = [{"license": {"id": "Apache-2.0"}}]


def bill(version: str, cython: str) -> dict[str, object]:
    """Return the bill of perfcore ``version``, compiled with ``cython``."""
    perfcore, core, runtime = (
        f"pkg:pypi/perfcore@{version}",
        f"perfcore-core@{version}",
        f"pkg:pypi/cython@{cython}",
    )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SPACE, perfcore + runtime)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": perfcore,
                "name": "perfcore",
                "version": version,
                "licenses": APACHE,
                "purl": perfcore,
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": core,
                "name": "perfcore-core",
                "version": version,
                "description": "The C core (src_c/) of this project, compiled into its extensions",
                "licenses": APACHE,
            },
            {
                "type": "library",
                "bom-ref": runtime,
                "name": "Cython",
                "version": cython,
                "description": "Its support code in C, which it writes into what it compiles",
                "licenses": APACHE,
                "purl": runtime,
            },
        ],
        "dependencies": [{"ref": perfcore, "dependsOn": [core, runtime]}, {"ref": core}, {"ref": runtime}],
    }


def write(folder: Path, version: str, cython: str) -> None:
    """Write the bill into ``folder``, a ``.dist-info``."""
    (folder / "sboms").mkdir(exist_ok=True)
    (folder / "sboms" / NAME).write_text(json.dumps(bill(version, cython), indent=2) + "\n")
