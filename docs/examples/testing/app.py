"""Articles of organizations: members read them, and who may publish adds to them."""

from collections import defaultdict
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from gateway import MachineClaims, SessionClaims, SessionMiddleware, parse_settings, require

settings = parse_settings(
    {
        "instance": {"publishable_key": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "secret_key": "sk_test_of_the_real_one"},
        "routes": [
            {"path": "/"},
            {"path": "/health", "access": "public"},
            {"path": "/export", "accepts": ["api_key"]},
        ],
    },
    needs_upstream=False,
)
app = FastAPI()
app.add_middleware(SessionMiddleware, settings=settings)
articles: defaultdict[str, list[str]] = defaultdict(list)

Member = Annotated[SessionClaims, Depends(require(permission="org:teams:read"))]
Editor = Annotated[SessionClaims, Depends(require(permission="org:articles:publish"))]
Exporter = Annotated[MachineClaims, Depends(require(scopes=["articles:read"]))]


@app.get("/me")
async def me(request: Request) -> dict[str, str | None]:
    session = request.state.session
    organization = session.organization
    return {"user": session.user_id, "organization": organization.slug if organization else None}


@app.get("/articles")
async def read(session: Member) -> list[str]:
    return articles[session.organization.id]


@app.post("/articles", status_code=201)
async def publish(session: Editor, title: str) -> None:
    articles[session.organization.id].append(title)


@app.delete("/account", status_code=204)
async def leave(session: Annotated[SessionClaims, Depends(require(no_impersonation=True))]) -> None:
    """Delete nothing, this being an example."""


@app.get("/export")
async def export(machine: Exporter) -> list[str]:
    return articles[machine.org_id]


@app.get("/health")
async def health() -> str:
    return "ok"
