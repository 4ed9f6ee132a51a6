"""Settings of `scripts.curate.pii`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scripts.common.settings import Settings


class Pii(Settings):
    """No e-mail address and no public IP address of anybody in prompt or response."""

    step: Literal["pii"]
    placeholder_domains: tuple[str, ...] = Field(
        default=(
            *("example.com", "example.net", "example.org"),
            *("company.com", "domain.com", "email.com", "mydomain.com", "sample.com", "test.com", "yourcompany.com"),
            "yourdomain.com",
        ),
        min_length=1,
        description="e-mail domains that are nobody's: RFC 2606, section 3, and those that examples use besides",
    )
    placeholder_names: tuple[str, ...] = Field(
        default=(
            *(
                "email",
                "example",
                "first.last",
                "firstname.lastname",
                "jane.doe",
                "janedoe",
                "john.doe",
                "johndoe",
                "me",
            ),
            *("my_email", "myemail", "name", "recipient", "sender", "someone", "test", "username", "you"),
            *("your-email", "your.email", "your.name", "your_email", "youremail", "yourname"),
            *("ec2-user", "git", "no-reply", "noreply", "root", "ubuntu"),
        ),
        description="what is before the @ of an address that is nobody's: in examples, and of machines",
    )
    reserved_names: tuple[str, ...] = Field(
        default=("test", "example", "invalid", "localhost"),
        min_length=1,
        description="top-level names that are nobody's: RFC 2606, section 2",
    )
