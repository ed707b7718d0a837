// A policy's condition: a boolean expression over the root's row, checked once and stored with its names
// resolved.
#pragma once

#include "pg/postgres.hpp"

namespace privacy_scan::retention
{

// Parses the text as one expression over the columns of the relation, in the caller's search_path, and
// returns it as SQL over the alias t in which every name is qualified. Errors: those of the parser, 42601
// more than one expression, 42804 not boolean, 0A000 sub-select or aggregate, 42P17 volatile function.
std::string compile_condition(Oid relid, const std::string &condition);

} // namespace privacy_scan::retention
