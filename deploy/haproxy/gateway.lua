-- Asks Session Gateway whether a request may pass. HAProxy's own HTTP client asks; nothing else is needed.
-- In a frontend: http-request lua.ask_gateway URL PREFIX NAMES, where NAMES are those of identity.claims, or a dash.

-- Of the connection, of the body, or said anew below; nothing of them belongs into a question.
local LEFT_OUT = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true, ["keep-alive"] = true,
    ["proxy-authorization"] = true, ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true,
    ["transfer-encoding"] = true, ["upgrade"] = true, ["x-forwarded-host"] = true, ["x-forwarded-proto"] = true,
}

-- Whether a header of an answer says who it is.
local function is_identity(name, prefix, names)
    if string.sub(name, 1, #prefix) == prefix then
        return true
    end
    for each in string.gmatch(string.lower(names), "[^,]+") do
        if each == name then
            return true
        end
    end
    return false
end

local function values_of(header)
    local found = {}
    for position = 0, #header do
        if header[position] ~= nil then
            found[#found + 1] = header[position]
        end
    end
    return found
end

-- HTTP/1: the target as it came, also where it is in absolute form, which the gateway refuses. Later versions have none.
local function target_of(txn)
    if string.sub(txn.f:req_ver() or "", 1, 2) == "1." then
        return txn.sf:url()
    end
    return txn.sf:pathq()
end

local function question(txn)
    local headers = {}
    for name, header in pairs(txn.http:req_get_headers()) do
        if not LEFT_OUT[name] then
            headers[name] = values_of(header)
        end
    end
    local hosts = txn.http:req_get_headers()["host"]
    headers["host"] = { "session-gateway" }
    headers["x-original-method"] = { txn.sf:method() }
    headers["x-original-uri"] = { target_of(txn) }
    headers["x-original-host"] = hosts and values_of(hosts) or nil
    headers["x-original-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" }
    return headers
end

local function relay(txn, answer)
    local reply = txn:reply()
    reply:set_status(answer.status, answer.reason)
    for name, header in pairs(answer.headers or {}) do
        if name ~= "content-length" and name ~= "connection" and name ~= "transfer-encoding" then
            for _, value in ipairs(values_of(header)) do
                reply:add_header(name, value)
            end
        end
    end
    reply:set_body(txn.sf:method() == "HEAD" and "" or answer.body or "")
    txn:done(reply)
end

core.register_action("ask_gateway", { "http-req" }, function(txn, url, prefix, names)
    local answer = core.httpclient():get{ url = url, headers = question(txn), timeout = 10000 }
    -- HAProxy's own client answers a failure of the way by a 5xx of its own, or by nothing.
    if answer == nil or answer.status == nil or answer.status < 200 then
        return
    end
    if answer.status ~= 200 then
        return relay(txn, answer)
    end
    prefix = string.lower(prefix)
    if answer.headers[prefix .. "status"] == nil then
        return
    end
    for name, header in pairs(answer.headers) do
        if is_identity(name, prefix, names) then
            txn.http:req_del_header(name)
            local value = values_of(header)[1]
            if value ~= nil and value ~= "" then
                txn.http:req_set_header(name, value)
            end
        end
    end
    local cookies = answer.headers["set-cookie"]
    txn:set_priv(cookies and values_of(cookies) or nil)
    txn:set_var("txn.gateway_allows", true)
end, 3)

core.register_action("add_gateway_cookies", { "http-res" }, function(txn)
    for _, cookie in ipairs(txn:get_priv() or {}) do
        txn.http:res_add_header("set-cookie", cookie)
    end
end)
