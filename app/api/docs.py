"""/docs and /problems: what there is to ask, and what each error means. Plain pages, made from the OpenAPI document."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.api.frame.problems import KINDS, NOT_FOUND, ApiProblem
from app.api.schemas.status import Problem

router = APIRouter(include_in_schema=False)

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c2024;"
    "background:#fff}code{font-family:ui-monospace,monospace}dt{margin-top:.6rem}dd{margin-left:1.5rem}"
    "@media(prefers-color-scheme:dark){body{color:#e4e6e8;background:#14171a}a{color:#8ab8e8}}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schema of problems that no route returns as its model."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    document["components"]["schemas"][Problem.__name__] = Problem.model_json_schema()
    return document


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """Every resource with its parameters, without scripts."""
    document = request.app.openapi()
    sections = [
        _section(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    problems = "".join(
        f"<dt id='{kind.slug}'><code>{kind.type}</code> ({kind.status})</dt><dd>{escape(kind.meaning)}</dd>"
        for kind in KINDS.values()
    )
    title = escape(document["info"]["title"])
    body = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{title} API</title><style>{_STYLE}</style><h1>{title} API</h1>"
        f"<p>{escape(document['info']['description'])}</p>"
        f"<p>For programs: <a href='/openapi.json'>openapi.json</a>.</p>"
        f"{''.join(sections)}<h2>Problems</h2><dl>{problems}</dl></html>"
    )
    return HTMLResponse(body, headers={"Content-Security-Policy": _POLICY})


@router.get("/problems/{slug}")
async def get_problem(slug: str) -> Response:
    """What one kind of problem means."""
    kind = KINDS.get(slug)
    if kind is None:
        raise ApiProblem(NOT_FOUND, "no problem has this name; /docs lists them")
    return JSONResponse({"type": kind.type, "status": kind.status, "title": kind.title, "meaning": kind.meaning})


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<dt><code>{escape(parameter['name'])}</code>{' (required)' if parameter.get('required') else ''}</dt>"
        f"<dd>{escape(parameter.get('description', ''))}</dd>"
        for parameter in operation.get("parameters", [])
    )
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}.</p>"
        f"<p>{escape(operation.get('description', ''))}</p><dl>{parameters}</dl>"
    )
