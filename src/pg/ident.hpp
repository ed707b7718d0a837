// Names of objects as SQL text: always from the catalog, always quoted.
#pragma once

#include "pg/guard.hpp"

namespace privacy_scan::pg
{

std::string quote(const std::string &name);                            // "a""b"
std::string quote(const std::string &schema, const std::string &name); // "s"."t"
std::string quote_text(const std::string &value);                      // 'it''s'
std::string qualified_name(Oid relid);                                 // "s"."t" of a relation that exists
std::string relation_name(Oid relid);                                  // unquoted, without schema
std::string schema_name(Oid relid);                                    // unquoted
std::string role_name(Oid role);                                       // unquoted; PUBLIC for 0

// One of our own relations, by its name in the schema privacy_scan. Error: 3F000 where that is gone.
Oid own_relation(const char *name);

// The name cut to fit NAMEDATALEN with the suffix; where it had to be cut, a hash of the whole name stands
// between, so that two parents with the same beginning keep different partitions. Cuts between characters of
// the database's encoding.
std::string name_with_suffix(const std::string &name, const std::string &suffix);

} // namespace privacy_scan::pg
