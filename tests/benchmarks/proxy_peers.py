"""Configurations of the upstream and of the peers that the gateway is measured beside, and the load on them."""

from tests.benchmarks.world import APP, HOST, KEY

UPSTREAM = """
worker_processes 1; daemon off; pid %FOLDER%/upstream.pid; error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path %FOLDER%/u1; proxy_temp_path %FOLDER%/u2; fastcgi_temp_path %FOLDER%/u3;
  uwsgi_temp_path %FOLDER%/u4; scgi_temp_path %FOLDER%/u5;
  server {
    listen 127.0.0.1:%UP% backlog=4096; root %FOLDER%;
    location / { return 200 '{"items": "xITEMS"}'; }
    location = /big.bin { }
  }
}
""".replace("xITEMS", "x" * 1000)

NGINX_PLAIN = """
worker_processes 1; daemon off; pid %FOLDER%/plain.pid; error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path %FOLDER%/p1; proxy_temp_path %FOLDER%/p2; fastcgi_temp_path %FOLDER%/p3;
  uwsgi_temp_path %FOLDER%/p4; scgi_temp_path %FOLDER%/p5;
  upstream up { server 127.0.0.1:%UP%; keepalive 256; keepalive_requests 1000000000; }
  upstream sink { server 127.0.0.1:%SINK%; keepalive 256; }
  server {
    listen 127.0.0.1:%PLAIN% backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off;
    location / { proxy_pass http://up; }
    location = /upload { proxy_pass http://sink; }
  }
}
"""

_HAPROXY = """
global
  maxconn 5000
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:%HAPROXY%
  http-request set-var(txn.token) req.cook(__session)
  http-request set-var(txn.token) http_auth_bearer if { req.hdr(authorization) -m found }
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.token),jwt_verify(txn.alg,"%FOLDER%/public.pem") -m int 1 }
  http-request set-var(txn.issuer) var(txn.token),jwt_payload_query('$.iss')
  http-request deny deny_status 401 unless { var(txn.issuer) -m str https://%ISSUER% }
  http-request set-var(txn.now) date()
  http-request set-var(txn.left) var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now)
  http-request deny deny_status 401 if { var(txn.left) -m int lt 0 }
  http-request set-header X-Session-User-Id %[var(txn.token),jwt_payload_query('$.sub')]
  http-request set-header X-Session-Id %[var(txn.token),jwt_payload_query('$.sid')]
  http-request set-header X-Session-Org-Id %[var(txn.token),jwt_payload_query('$.o.id')]
  use_backend sink if { path /upload }
  default_backend up
backend up
  http-reuse always
  server up 127.0.0.1:%UP%
backend sink
  http-reuse always
  server sink 127.0.0.1:%SINK%
"""


def haproxy_conf() -> str:
    """Return HAProxy verifying RS256 on every request, and telling the upstream of three claims."""
    return _HAPROXY.replace("%ISSUER%", HOST)


def gateway_toml(pem: str, port: int, up: int, sink: int) -> str:
    """Return the gateway as it ships: claims, hygiene and routes; the access log is off, as in the peers."""
    return f'''
[instance]
publishable_key = "{KEY.value}"
jwt_key = """{pem}"""
authorized_parties = ["{APP}"]

[server]
listen = "127.0.0.1:{port}"

[identity]
claims = {{ "X-Session-User" = "sub" }}

[[routes]]
path = "/"
upstream = "http://127.0.0.1:{up}"

[[routes]]
path = "/upload"
upstream = "http://127.0.0.1:{sink}"

[[routes]]
path = "/public"
upstream = "http://127.0.0.1:{up}"
access = "public"
'''


WRK = """
local headers, number, sent = {}, 0, nil
for line in io.lines(os.getenv("LINES")) do
  local name, value = line:match("^(%S+): (.*)$")
  headers[#headers + 1] = {
    [name] = value, ["Accept"] = "application/json", ["Accept-Encoding"] = "gzip, br",
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
  }
end
local upload = tonumber(os.getenv("UPLOAD"))
local method, body = "GET", nil
if upload > 0 then method, body = "POST", string.rep("x", upload) end
request = function()
  number = number % #headers + 1
  return wrk.format(method, os.getenv("TARGET"), headers[number], body)
end
done = function(summary)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status))
end
"""
