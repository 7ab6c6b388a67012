"""The Backend API of JWT templates: list, create, read, update, delete (Sessions API section 4).

The key of a template goes in and never comes out.
"""

from starlette.responses import Response

from gateway.authority.backend.api import PAGE
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.models import JwtTemplate
from gateway.authority.operations import Call, Operation
from gateway.authority.realm import Realm
from gateway.authority.requests import path_id
from gateway.authority.signing.template_form import FIELDS, TemplateFault, build_template
from gateway.authority.store.templates import NameTaken

_INSTANCE_ALGORITHM = "RS256"


async def list_templates(realm: Realm, call: Call) -> Response:
    """The templates, the oldest first; with ``paginated=true`` in an envelope with their number."""
    page = realm.templates.page(int(str(call.query["limit"])), int(str(call.query["offset"])))
    data = [_shown(template) for template in page]
    return answer({"data": data, "total_count": realm.templates.count()} if call.query["paginated"] else data)


async def create_template(realm: Realm, call: Call) -> Response:
    """Keep a new template."""
    template = _built(realm, call, None)
    try:
        realm.templates.add(template)
    except NameTaken:
        raise _taken() from None
    return answer(_shown(template))


async def get_template(realm: Realm, call: Call) -> Response:
    """One template."""
    return answer(_shown(_template(realm, call)))


async def update_template(realm: Realm, call: Call) -> Response:
    """Change a template; the tokens that it made stay what they are."""
    try:
        with realm.database.transaction():
            template = _built(realm, call, _template(realm, call))
            realm.templates.update(template)
    except NameTaken:
        raise _taken() from None
    return answer(_shown(template))


async def delete_template(realm: Realm, call: Call) -> Response:
    """Forget a template; the tokens that it made stay good until they run out."""
    template_id = path_id(call.request, "template_id")
    if not realm.templates.remove(template_id):
        raise Refusal(Problem.TEMPLATE_ID_NOT_FOUND, id=template_id)
    return answer({"object": "jwt_template", "id": template_id, "deleted": True})


def _template(realm: Realm, call: Call) -> JwtTemplate:
    template_id = path_id(call.request, "template_id")
    template = realm.templates.find(template_id)
    if template is None:
        raise Refusal(Problem.TEMPLATE_ID_NOT_FOUND, id=template_id)
    return template


def _built(realm: Realm, call: Call, previous: JwtTemplate | None) -> JwtTemplate:
    try:
        return build_template(call.body, realm.now_ms(), previous)
    except TemplateFault as fault:
        problem = Problem.TEMPLATE_RESERVED_CLAIM if fault.is_reserved else Problem.PARAM_INVALID
        raise Refusal(problem, param=fault.param, expected=fault.problem) from None


def _taken() -> Refusal:
    return Refusal(Problem.PARAM_INVALID, param="name", expected="another template has this name")


def _shown(template: JwtTemplate) -> dict[str, object]:
    return {
        "object": "jwt_template",
        "id": template.id,
        "name": template.name,
        "claims": template.claims,
        "lifetime": template.lifetime_s,
        "allowed_clock_skew": template.allowed_clock_skew_s,
        "custom_signing_key": template.signing_key is not None,
        "signing_algorithm": template.signing_algorithm or _INSTANCE_ALGORITHM,
        "created_at": template.created_at_ms,
        "updated_at": template.updated_at_ms,
    }


_ALL = "/v1/jwt_templates"
_ONE = "/v1/jwt_templates/{template_id}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="ListJWTTemplates",
        method="GET",
        path=_ALL,
        handler=list_templates,
        answer="JWTTemplateList",
        about="The JWT templates, the oldest first.",
        query=PAGE,
    ),
    Operation(
        name="CreateJWTTemplate",
        method="POST",
        path=_ALL,
        handler=create_template,
        answer="JWTTemplate",
        about="Make a JWT template.",
        body=FIELDS,
        problems=(Problem.TEMPLATE_RESERVED_CLAIM,),
    ),
    Operation(
        name="GetJWTTemplate",
        method="GET",
        path=_ONE,
        handler=get_template,
        answer="JWTTemplate",
        about="One JWT template.",
        problems=(Problem.TEMPLATE_ID_NOT_FOUND,),
    ),
    Operation(
        name="UpdateJWTTemplate",
        method="PATCH",
        path=_ONE,
        handler=update_template,
        answer="JWTTemplate",
        about="Change a JWT template. What is not named stays as it is.",
        body=FIELDS,
        problems=(Problem.TEMPLATE_RESERVED_CLAIM, Problem.TEMPLATE_ID_NOT_FOUND),
    ),
    Operation(
        name="DeleteJWTTemplate",
        method="DELETE",
        path=_ONE,
        handler=delete_template,
        answer="DeletedObject",
        about="Delete a JWT template. Tokens that it made stay good until they run out.",
        problems=(Problem.TEMPLATE_ID_NOT_FOUND,),
    ),
)
"""All operations of this module."""
