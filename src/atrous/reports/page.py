"""Fill the templates of our pages; everything ends up in one file that needs no network."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """A page from a file of `reports/templates`; values are escaped, unknown ones are errors."""
    environment = Environment(
        loader=PackageLoader("atrous.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
