"""Object schemas of the emulated org.

Custom objects and fields are read from the SFDX source that is deployed to the real org, so a field
is declared once; the standard fields that the project touches are declared here.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

SFDX_SOURCE = (
    Path(__file__).resolve().parents[2] / "sinks" / "salesforce" / "sfdx" / "force-app" / "main" / "default"
)
#: Permission sets of the integration user, one per object that is written.
INTEGRATION_PERMISSION_SETS = "*_Integration.permissionset-meta.xml"
_NS = "{http://soap.sforce.com/2006/04/metadata}"

# Type of the metadata API -> type of a describe result.
_DESCRIBE_TYPES = {
    "Text": "string",
    "LongTextArea": "textarea",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Date": "date",
    "DateTime": "datetime",
    "Checkbox": "boolean",
    "Picklist": "picklist",
    "Lookup": "reference",
}


@dataclass(frozen=True)
class Field:
    """A field of an object, in the terms of a describe result.

    Attributes
    ----------
    name, label, type
        API name, label, and type as ``describe`` reports it (``string``, ``double``, ``reference``...).
    length, precision, scale
        Characters of a text; digits, and digits after the point, of a number.
    required
        Null is refused.
    unique, external_id, case_sensitive
        As in the metadata.
    picklist, restricted
        Values of a picklist, and whether others are refused.
    reference_to, relationship
        Parent object and the name that reaches it in SOQL and CSV headers (``Account__r``).
    createable, updateable
        Whether the emulated integration user may set it.
    calculated
        A formula; readable, always null or false here.
    """

    name: str
    label: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    picklist: tuple[tuple[str, str], ...] = ()
    restricted: bool = False
    reference_to: str | None = None
    relationship: str | None = None
    createable: bool = True
    updateable: bool = True
    calculated: bool = False
    auto_number: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether values are free text."""
        return self.type in {"string", "textarea", "url", "phone"}

    @property
    def is_number(self) -> bool:
        """Whether values are numbers."""
        return self.type in {"double", "int", "currency", "percent"}


@dataclass(frozen=True)
class SObject:
    """An object of the org: its name, the prefix of its ids, and its fields in describe order."""

    name: str
    label: str
    label_plural: str
    key_prefix: str
    fields: tuple[Field, ...] = field(default=())

    @cached_property
    def by_lower_name(self) -> dict[str, Field]:
        """Fields by lower-case API name: names are case-insensitive in Salesforce."""
        return {f.name.lower(): f for f in self.fields}

    @cached_property
    def by_relationship(self) -> dict[str, Field]:
        """Lookup fields by lower-case relationship name."""
        return {f.relationship.lower(): f for f in self.fields if f.relationship}

    def get(self, name: str) -> Field | None:
        """Field of that API name, whatever the case; None if there is none."""
        return self.by_lower_name.get(name.lower())

    @property
    def stored(self) -> tuple[Field, ...]:
        """Fields with a value of their own: all but formulas."""
        return tuple(f for f in self.fields if not f.calculated)

    @property
    def custom(self) -> bool:
        """Whether this is a custom object."""
        return self.name.endswith("__c")


def _read_only(name: str, label: str, type_: str, **more: object) -> Field:
    return Field(name, label, type_, createable=False, updateable=False, **more)  # type: ignore[arg-type]


_SYSTEM_FIELDS = (
    _read_only("IsDeleted", "Deleted", "boolean"),
    _read_only("CreatedDate", "Created Date", "datetime"),
    _read_only("CreatedById", "Created By ID", "reference", length=18),
    _read_only("LastModifiedDate", "Last Modified Date", "datetime"),
    _read_only("LastModifiedById", "Last Modified By ID", "reference", length=18),
    _read_only("SystemModstamp", "System Modstamp", "datetime"),
)
_ID = _read_only("Id", "Record ID", "id", length=18)
_OWNER = Field("OwnerId", "Owner ID", "reference", length=18)

_ACCOUNT = SObject(
    "Account",
    "Account",
    "Accounts",
    "001",
    (
        _ID,
        Field("Name", "Account Name", "string", length=255, required=True),
        Field("Type", "Account Type", "picklist", length=255),
        Field("Industry", "Industry", "picklist", length=255),
        Field("NumberOfEmployees", "Employees", "int", precision=8),
        Field("AnnualRevenue", "Annual Revenue", "currency", precision=18, scale=0),
        Field("BillingCountry", "Billing Country", "string", length=80),
        Field("ShippingCity", "Shipping City", "string", length=40),
        Field("Phone", "Account Phone", "phone", length=40),
        Field("Website", "Website", "url", length=255),
        Field("Description", "Account Description", "textarea", length=32000),
        _OWNER,
        *_SYSTEM_FIELDS,
    ),
)
_ORGANIZATION = SObject(
    "Organization",
    "Organization",
    "Organizations",
    "00D",
    (
        _ID,
        _read_only("Name", "Name", "string", length=80),
        _read_only("IsSandbox", "Is Sandbox", "boolean"),
        *_SYSTEM_FIELDS,
    ),
)


def load_schema(source: Path = SFDX_SOURCE) -> dict[str, SObject]:
    """Objects of the org by lower-case name: the SFDX package's plus Account and Organization.

    Field access of the custom objects follows the integration user's permission sets: a field it may
    not edit is refused, as the real org would refuse it.

    Raises
    ------
    FileNotFoundError
        `source` holds no custom object.
    """
    editable = _editable_fields(source / "permissionsets")
    objects = {"account": _ACCOUNT, "organization": _ORGANIZATION}
    folders = sorted(path.parent for path in source.glob("objects/*/*.object-meta.xml"))
    if not folders:
        raise FileNotFoundError(f"{source} must be the SFDX source with objects/*/*.object-meta.xml")
    for number, folder in enumerate(folders):
        objects[folder.name.lower()] = _custom_object(folder, f"a{number:02d}", editable)
    for folder in sorted(path for path in (source / "objects").iterdir() if path not in folders):
        standard = objects[folder.name.lower()]
        objects[folder.name.lower()] = replace(standard, fields=standard.fields + _custom_fields(folder))
    return objects


def _editable_fields(folder: Path) -> set[str]:
    sets = sorted(folder.glob(INTEGRATION_PERMISSION_SETS))
    if not sets:
        raise FileNotFoundError(f"{folder} must hold a permission set {INTEGRATION_PERMISSION_SETS}")
    return {
        _text(grant, "field")
        for path in sets
        for grant in _parse(path).findall(f"{_NS}fieldPermissions")
        if _text(grant, "editable") == "true"
    }


def _custom_object(folder: Path, key_prefix: str, editable: set[str]) -> SObject:
    root = _parse(folder / f"{folder.name}.object-meta.xml")
    name_field = root.find(f"{_NS}nameField")
    if name_field is None:
        raise ValueError(f"{folder.name} must declare a nameField")
    numbered = _text(name_field, "type") == "AutoNumber"
    name = Field(
        "Name",
        _text(name_field, "label"),
        "string",
        length=80,
        required=not numbered,
        createable=not numbered,
        updateable=not numbered,
        auto_number=_text(name_field, "displayFormat") if numbered else None,
    )
    fields = []
    for custom in _custom_fields(folder):
        # A required field takes no field permission: whoever may create the record may set it.
        allowed = custom.required or f"{folder.name}.{custom.name}" in editable
        fields.append(replace(custom, createable=allowed, updateable=allowed))
    return SObject(
        folder.name,
        _text(root, "label"),
        _text(root, "pluralLabel"),
        key_prefix,
        (_ID, name, *fields, _OWNER, *_SYSTEM_FIELDS),
    )


def _custom_fields(folder: Path) -> tuple[Field, ...]:
    return tuple(_custom_field(_parse(path)) for path in sorted(folder.glob("fields/*.field-meta.xml")))


def _custom_field(root: ET.Element) -> Field:
    kind = _text(root, "type")
    precision, scale = int(_text(root, "precision", "0")), int(_text(root, "scale", "0"))
    name = _text(root, "fullName")
    return Field(
        name,
        _text(root, "label"),
        _DESCRIBE_TYPES[kind],
        length={"Picklist": 255, "Lookup": 18}.get(kind, int(_text(root, "length", "0"))),
        precision=precision,
        scale=scale,
        required=_text(root, "required", "false") == "true",
        unique=_text(root, "unique", "false") == "true",
        external_id=_text(root, "externalId", "false") == "true",
        case_sensitive=_text(root, "caseSensitive", "false") == "true",
        picklist=tuple(
            (_text(value, "fullName"), _text(value, "label")) for value in root.iter(f"{_NS}value")
        ),
        restricted=any(element.text == "true" for element in root.iter(f"{_NS}restricted")),
        reference_to=_text(root, "referenceTo", "") or None,
        relationship=f"{name[:-3]}__r" if kind == "Lookup" else None,
        calculated=root.find(f"{_NS}formula") is not None,
    )


def _parse(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314 - our own package's files, not input


def _text(element: ET.Element, tag: str, default: str | None = None) -> str:
    value = element.findtext(f"{_NS}{tag}", default)
    if value is None:
        raise ValueError(f"<{element.tag.removeprefix(_NS)}> must have a <{tag}>")
    return value
