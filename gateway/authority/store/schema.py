"""The schema of the database, as the steps that lead to it. A file holds how many of them it has been through.

A step that was released never changes: files that went through it exist. A change is one more step at the end.
"""

STEPS: tuple[str, ...] = (
    """
CREATE TABLE instance (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, origin TEXT NOT NULL, secret_key TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY, private_pem TEXT NOT NULL, created_at INTEGER NOT NULL, signs INTEGER NOT NULL
) STRICT;
CREATE TABLE users (
    id TEXT PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, email_address TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL, features TEXT NOT NULL, public_metadata TEXT NOT NULL, unsafe_metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE organizations (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, slug TEXT NOT NULL UNIQUE, plan TEXT NOT NULL, features TEXT NOT NULL,
    public_metadata TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE roles (key TEXT PRIMARY KEY, name TEXT NOT NULL, permissions TEXT NOT NULL) STRICT;
CREATE TABLE memberships (
    user_id TEXT NOT NULL, organization_id TEXT NOT NULL, role_key TEXT NOT NULL, public_metadata TEXT NOT NULL,
    PRIMARY KEY (user_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE jwt_templates (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, claims TEXT NOT NULL, lifetime_s INTEGER NOT NULL,
    allowed_clock_skew_s INTEGER NOT NULL
) STRICT;
CREATE TABLE clients (
    id TEXT PRIMARY KEY, token_digest TEXT UNIQUE, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE dev_browsers (
    token_digest TEXT PRIMARY KEY, client_id TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, client_id TEXT NOT NULL,
    status TEXT NOT NULL, last_active_organization_id TEXT, actor TEXT, first_factor_at INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL, expire_at INTEGER NOT NULL, abandon_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_client ON sessions (client_id, created_at);
CREATE INDEX sessions_by_age ON sessions (created_at);
CREATE TABLE refresh_tokens (
    digest TEXT PRIMARY KEY, session_id TEXT NOT NULL, created_at INTEGER NOT NULL, superseded_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id, superseded_at);
CREATE TABLE consumed_tokens (digest TEXT PRIMARY KEY, forget_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX consumed_tokens_by_age ON consumed_tokens (forget_at);
CREATE TABLE handshakes (
    digest TEXT PRIMARY KEY, directives TEXT NOT NULL, expire_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handshakes_by_age ON handshakes (expire_at);
""",
    """
CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY, url TEXT NOT NULL UNIQUE, secret TEXT NOT NULL, event_types TEXT NOT NULL,
    disabled_because TEXT, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE webhook_messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, event_type TEXT NOT NULL, subject TEXT NOT NULL,
    body TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_messages_by_age ON webhook_messages (created_at);
CREATE TABLE webhook_deliveries (
    message_seq INTEGER NOT NULL REFERENCES webhook_messages (seq), endpoint_id TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, due_at INTEGER NOT NULL, lease TEXT, attempted_at INTEGER, outcome TEXT,
    PRIMARY KEY (message_seq, endpoint_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint_id, due_at, message_seq)
    WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_over ON webhook_deliveries (state, attempted_at) WHERE state <> 'waiting';
""",
    # Signing keys get a life. What earlier ones signed was not noted; the longest token lives for ten years.
    """
CREATE TABLE keys_with_a_life (
    kid TEXT PRIMARY KEY, private_pem TEXT NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('published', 'signing', 'retiring', 'retired')),
    created_at INTEGER NOT NULL, sign_at INTEGER, needed_until_s INTEGER NOT NULL, retired_at INTEGER
) STRICT;
INSERT INTO keys_with_a_life
SELECT kid, private_pem, CASE signs WHEN 1 THEN 'signing' ELSE 'retiring' END, created_at, created_at,
       CAST(strftime('%s', 'now') AS INTEGER) + 315360000, NULL
FROM signing_keys;
DROP TABLE signing_keys;
ALTER TABLE keys_with_a_life RENAME TO signing_keys;
""",
    # Refresh tokens know whose rotation they come from, sessions when they ended, and nothing is found by a scan.
    """
ALTER TABLE refresh_tokens RENAME TO old_refresh_tokens;
CREATE TABLE refresh_tokens (
    digest TEXT PRIMARY KEY, session_id TEXT NOT NULL, family TEXT NOT NULL, number INTEGER NOT NULL,
    issued_at INTEGER NOT NULL, retired_at INTEGER, is_used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO refresh_tokens
SELECT digest, session_id, digest, ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY created_at), created_at,
       superseded_at, superseded_at IS NOT NULL
FROM old_refresh_tokens;
DROP TABLE old_refresh_tokens;
CREATE UNIQUE INDEX refresh_tokens_by_session ON refresh_tokens (session_id, number);

ALTER TABLE sessions ADD COLUMN ended_at INTEGER;
UPDATE sessions SET ended_at = updated_at WHERE status NOT IN ('active', 'pending');
CREATE INDEX sessions_by_status ON sessions (status, created_at);
CREATE INDEX sessions_by_deadline ON sessions (MIN(expire_at, abandon_at)) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE session_totals (status TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO session_totals SELECT status, COUNT(*) FROM sessions GROUP BY status;
CREATE TRIGGER session_added AFTER INSERT ON sessions BEGIN
    INSERT INTO session_totals VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER session_gone AFTER DELETE ON sessions BEGIN
    UPDATE session_totals SET number = number - 1 WHERE status = OLD.status;
    DELETE FROM refresh_tokens WHERE session_id = OLD.id;
END;
CREATE TRIGGER session_changed AFTER UPDATE OF status ON sessions WHEN OLD.status <> NEW.status BEGIN
    UPDATE session_totals SET number = number - 1 WHERE status = OLD.status;
    INSERT INTO session_totals VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET number = number + 1;
END;

ALTER TABLE clients ADD COLUMN looked_at INTEGER NOT NULL DEFAULT 0;
UPDATE clients SET looked_at = updated_at;
CREATE INDEX clients_by_look ON clients (looked_at);
CREATE TRIGGER client_gone AFTER DELETE ON clients BEGIN
    DELETE FROM dev_browsers WHERE client_id = OLD.id;
END;
CREATE INDEX dev_browsers_by_client ON dev_browsers (client_id, created_at);
""",
    """
CREATE TABLE passwords (
    user_id TEXT PRIMARY KEY, kept TEXT NOT NULL, changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_email ON users (email_address COLLATE NOCASE);
""",
    """
ALTER TABLE jwt_templates ADD COLUMN signing_algorithm TEXT;
ALTER TABLE jwt_templates ADD COLUMN signing_key TEXT;
ALTER TABLE jwt_templates ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jwt_templates ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
""",
    # messages are found by what is over of their deliveries
    """
DROP INDEX webhook_messages_by_age;
""",
)
