// See ident.hpp.
#include "pg/ident.hpp"

extern "C" {
#include <catalog/namespace.h>
#include <common/hashfn.h>
#include <mb/pg_wchar.h>
#include <utils/acl.h>
#include <utils/builtins.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::pg
{

std::string quote(const std::string &name)
{
    // Always with quotes: quote_identifier() leaves them out where quote_all_identifiers is off.
    std::string quoted = "\"";
    for (char c : name)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

std::string quote(const std::string &schema, const std::string &name)
{
    return quote(schema) + "." + quote(name);
}

std::string quote_text(const std::string &value)
{
    const char *text = value.c_str();
    return guarded([=] { return quote_literal_cstr(text); });
}

std::string relation_name(Oid relid)
{
    const char *name = guarded([=] { return get_rel_name(relid); });
    if (!name)
        fail(ERRCODE_UNDEFINED_TABLE, "relation with OID " + std::to_string(relid) + " does not exist");
    return name;
}

std::string schema_name(Oid relid)
{
    const char *name = guarded([=] { return get_namespace_name(get_rel_namespace(relid)); });
    if (!name)
        fail(ERRCODE_UNDEFINED_TABLE, "relation with OID " + std::to_string(relid) + " does not exist");
    return name;
}

std::string qualified_name(Oid relid)
{
    return quote(schema_name(relid), relation_name(relid));
}

Oid own_relation(const char *name)
{
    return guarded([=] { return get_relname_relid(name, get_namespace_oid("privacy_scan", false)); });
}

std::string role_name(Oid role)
{
    return guarded([=] { return GetUserNameFromId(role, false); });
}

std::string name_with_suffix(const std::string &name, const std::string &suffix)
{
    constexpr std::size_t most = NAMEDATALEN - 1;
    if (name.size() + suffix.size() <= most)
        return name + suffix;
    const auto *bytes = reinterpret_cast<const unsigned char *>(name.data());
    char hash[10];
    snprintf(hash, sizeof hash, "_%08x", hash_bytes(bytes, static_cast<int>(name.size())));
    std::size_t room = most - std::min(most, suffix.size() + sizeof hash - 1);
    const char *text = name.c_str();
    int size = static_cast<int>(name.size());
    int kept = guarded([=] { return pg_mbcliplen(text, size, static_cast<int>(room)); });
    return name.substr(0, static_cast<std::size_t>(kept)) + hash + suffix;
}

} // namespace privacy_scan::pg
