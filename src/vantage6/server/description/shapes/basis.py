"""What the answers of all resources are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Timestamp = Annotated[
    str | None,
    Field(
        description="ISO 8601 in UTC, without a zone",
        examples=["2026-01-31T12:00:00.123456"],
    ),
]
Many = Annotated[
    str, Field(description="Where to list them", examples=["/api/node?organization_id=3"])
]


class Shape(BaseModel):
    """An answer: exactly these keys."""

    model_config = ConfigDict(extra="forbid")


class Error(BaseModel):
    """Any refusal."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {"msg": "You lack the permission to do that!"},
                {
                    "msg": "Request body is incorrect",
                    "errors": {"name": ["Field required"]},
                },
            ]
        },
    )

    msg: str = Field(description="What is wrong, and what to do")
    errors: dict[str, Any] = Field(
        default_factory=dict, description="Per field of the body what is wrong with it"
    )


class Message(Shape):
    """It is done."""

    msg: str


class One(Shape):
    """A link to one thing."""

    id: int
    link: str
    methods: list[str]


class PageLinks(BaseModel):
    """The pages around this one; a page that is not there has no key."""

    first: str
    self: str
    previous: str = ""
    next: str = ""
    last: str = ""
