"""A run as one HTML page that needs nothing else: no script, no request, no file beside it."""

from jaxvae.runs.page.report_page import report_page as report_page

__all__ = ["report_page"]
