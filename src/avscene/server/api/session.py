"""Define the routes with which the page signs in and out: the token against a cookie."""

from fastapi import APIRouter, Request, Response

from avscene.server.errors import ApiError
from avscene.server.responses.documentation import documented
from avscene.server.responses.schemas import SignIn
from avscene.server.security import COOKIE, SESSION_SECONDS, Guard

router = APIRouter(tags=["session"])


@router.post("/v1/session", status_code=204, responses=documented(400, 413))
def sign_in(wanted: SignIn, request: Request) -> Response:
    """Exchange the token for a cookie, which scripts of a page cannot read."""
    guard: Guard = request.app.state.guard
    if not guard.is_token(wanted.token):
        raise ApiError(401, "this is not the token of the server", headers={"WWW-Authenticate": "Bearer"})
    response = Response(status_code=204)
    over_https = request.headers.get("origin", "").startswith("https://")  # a proxy may speak HTTPS for the server
    response.set_cookie(
        COOKIE, guard.new_session(), SESSION_SECONDS, secure=over_https, httponly=True, samesite="strict"
    )
    return response


@router.delete("/v1/session", status_code=204, responses=documented())
def sign_out() -> Response:
    """Remove the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response
